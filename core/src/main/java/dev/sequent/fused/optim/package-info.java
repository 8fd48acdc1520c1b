/**
 * Optimizer updates over many tensors in one parallel loop. Start at {@link dev.sequent.fused.optim.OptimizerSteps}; programs that train
 * use the optimizers of {@code dev.sequent.train}.
 *
 * {@snippet :
 * double norm = OptimizerSteps.norm(gradients);
 * AdamWStep step = AdamWStep.of(0.9, 0.95, 1e-8, learningRate, 0.1, t, Math.min(1, maxNorm / norm));
 * OptimizerSteps.adamw(Collections.nCopies(n, step), parameters, gradients, first, second);
 * }
 *
 * <p>Tensors are cut into chunks that depend on their sizes alone, so results do not change with the number of threads.
 *
 * <p>Does not belong here: which parameter decays, schedules, and what an optimizer remembers ({@code dev.sequent.train}).
 */
package dev.sequent.fused.optim;
