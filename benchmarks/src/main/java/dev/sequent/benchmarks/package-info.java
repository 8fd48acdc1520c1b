/**
 * JMH benchmarks: operations, kernels, mixers, prefill, decoding, training steps. Each compares its results with the reference backend
 * before it measures, but for models that are too large for that, whose steps it compares with their forward pass.
 */
package dev.sequent.benchmarks;
