/**
 * Programs that use the library as its users would: {@link dev.sequent.examples.Train} trains several kinds of models on one text and
 * compares them, {@link dev.sequent.examples.Generate} continues texts with one of them, or with a checkpoint from elsewhere, or describes
 * it, {@link dev.sequent.examples.HandWrittenTrainingLoop} is the training loop without a trainer. The numbered lessons are in
 * {@code dev.sequent.examples.lessons}.
 *
 * <p>Invariants: wrong input ends in one sentence on stderr and exit code 2, never in a stack trace; the same options and seed give the
 * same losses; whatever a run writes is below its {@code --out} directory.
 *
 * <pre>{@code
 * mvn -q -Ptrain process-classes
 * mvn -q -Pgenerate process-classes -Dargs="--model runs/latest/hybrid --tokens 500"
 * }</pre>
 *
 * <p>Not here: anything that a user's program would need; that belongs in the library.
 */
package dev.sequent.examples;
