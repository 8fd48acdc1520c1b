/**
 * Mamba-2, the state-space layer with heads and one decay for each of them (Dao and Gu 2024): {@link dev.sequent.ssm.mamba2.Mamba2Config}
 * describes it, {@link dev.sequent.ssm.mamba2.Mamba2} computes it. Registered as the kind of mixer {@code mamba2}.
 *
 * <p>Invariants: parameters have the names and shapes of the public checkpoints; A, D, step sizes and the recurrent state are F32 at least,
 * whatever the dtype of the model. The recurrence itself is {@link dev.sequent.ssm.scan.StateSpaceDual}, the short convolution is in
 * {@link dev.sequent.fused.conv}.
 *
 * <pre>{@code
 * Mamba2 mixer = Mamba2Config.defaults().withStates(64).create(256, 6, new Init(device, 42));
 * Tensor y = mixer.forward(x, SequenceInfo.of(x));     // (B, T, 256)
 * }</pre>
 */
package dev.sequent.ssm.mamba2;
