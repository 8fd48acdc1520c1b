/**
 * What a computation costs, by formula: floating-point operations and bytes moved, and how fast a machine can be at most.
 *
 * <p>{@link dev.sequent.cost.Workload} says what is computed (pass, batch, tokens, context), layers and models answer with a
 * {@link dev.sequent.cost.Work}, and a measured {@link dev.sequent.cost.Roofline} turns it into the least time it can take.
 *
 * {@snippet :
 * Work step = model.work(Workload.forward(4, 1024, DType.F32)).plus(model.work(Workload.backward(4, 1024, DType.F32)));
 * double fraction = step.flops() / seconds / Roofline.measure(device).flopsPerSecond();
 * }
 *
 * <p>Invariants: a multiply-add counts two operations, an elementary function one. Bytes are those of a fused implementation: every
 * operand of an operation is read once, every result written once, and what stays inside an operation (the attention matrix, the
 * states of a scan) is not counted. Recomputation is not counted. Everything is a {@code double}: long contexts exceed the exact range
 * of smaller types.
 *
 * <p>Does not belong here: memory that is held, which is {@link dev.sequent.mixer.StateCost}'s and the devices' to tell.
 */
package dev.sequent.cost;
