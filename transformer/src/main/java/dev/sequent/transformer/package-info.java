/** Attention and its caches. */
package dev.sequent.transformer;
