/**
 * The runner of the benchmarks: {@link dev.sequent.benchmarks.run.RunBenchmarks} with three presets.
 *
 * <p>Does not belong here: benchmarks themselves, and what is made of their results.
 */
package dev.sequent.benchmarks.run;
