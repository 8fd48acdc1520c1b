/**
 * Loading of providers by {@link java.util.ServiceLoader} that survives broken ones: {@link dev.sequent.service.Services}. Every place of
 * the library that looks for backends, kernels, mixers or formats goes through it, so that a jar built for another version costs its own
 * providers and no others. Depends on nothing; what providers mean belongs to the packages that load them.
 */
package dev.sequent.service;
