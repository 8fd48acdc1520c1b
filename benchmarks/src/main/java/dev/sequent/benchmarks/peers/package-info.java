/**
 * Our side of comparisons with other libraries: the same shapes in PyTorch, run by scripts under {@code benchmarks/peers} when a Python
 * with torch is there.
 *
 * <p>Start at {@link dev.sequent.benchmarks.peers.Compare}. {@link dev.sequent.benchmarks.peers.Peer} is the other process,
 * {@link dev.sequent.benchmarks.peers.Subjects} what runs here, {@link dev.sequent.benchmarks.peers.Duel} the alternation of both.
 *
 * <p>Invariants: only one side computes at a time; both sides run a block in every round; what cannot run on one side is said, and is not a
 * result. Training steps begin with the same weights and tokens on both sides, and their first losses are compared.
 *
 * <pre>{@code
 * mvn -q -Pcompare process-classes -Dargs="--python venv/bin/python --only kernel/attention"
 * mvn -q -Preport process-classes -Dargs="runs/compare"
 * }</pre>
 *
 * <p>Peers on the JVM (ND4J, DJL) are JMH benchmarks and do not belong here.
 */
package dev.sequent.benchmarks.peers;
