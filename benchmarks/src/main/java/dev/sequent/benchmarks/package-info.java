/** JMH benchmarks of kernels, mixers and training steps. */
package dev.sequent.benchmarks;
