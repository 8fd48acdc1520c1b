/**
 * JMH benchmarks: operations, kernels, mixers, prefill, decoding, training steps. Each compares its results with the reference backend
 * before it measures.
 */
package dev.sequent.benchmarks;
