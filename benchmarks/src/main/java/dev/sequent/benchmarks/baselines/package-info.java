/**
 * Layers that a Java user would pick today, as baselines: the attention and LSTM layers of DJL (on its PyTorch engine) and of ND4J, and our
 * attention at the same
 * size.
 *
 * <p>Start at {@link dev.sequent.benchmarks.baselines.BaselineBenchmark}; a library is a {@link dev.sequent.benchmarks.baselines.Baseline}.
 * Their classes are
 * loaded only where their Maven profile put them on the class path.
 *
 * <p>Invariants: every library is given the same weights and numbers, and its result is compared with a plain computation before anything
 * is measured.
 *
 * <pre>{@code
 * mvn -q -Pbenchmarks,djl,nd4j process-classes -Dargs="--baselines djl,nd4j"
 * }</pre>
 *
 * <p>Our own backends on these libraries are measured by the other benchmarks, not here; so are peers outside of the JVM.
 */
package dev.sequent.benchmarks.baselines;
