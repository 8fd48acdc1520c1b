/**
 * Training of language models. {@link dev.sequent.train.Trainer} is the loop; what it wires stands alone: optimizers, schedules, gradient
 * clipping and accumulation, listeners, checkpoints, and batches in {@code dev.sequent.train.data}.
 *
 * <p>Invariants: a run is a function of its seed; a run resumed from a checkpoint repeats the uninterrupted one to the bit; nothing here
 * knows an architecture; the library prints nothing unless a listener is given a stream.
 *
 * <pre>{@code
 * try (Optimizer optimizer = new AdamW(model.parameters(), AdamW.Settings.defaults())) {
 *     new Trainer(model, optimizer, LrSchedule.warmupCosine(2e-3, 2e-4, 50, 1000), new RandomWindows(tokens, 12, 64, 1),
 *     Trainer.Settings.of(1000, 1))
 *             .listen(new ProgressPrinter(System.out, 100))
 *             .run();
 * }
 * }</pre>
 */
package dev.sequent.train;
