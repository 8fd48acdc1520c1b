/**
 * Mamba-1, the selective state-space layer (Gu and Dao 2023): {@link dev.sequent.ssm.mamba.MambaConfig} describes it,
 * {@link dev.sequent.ssm.mamba.Mamba} computes it. Registered as the kind of mixer {@code mamba}.
 *
 * <p>Invariants: parameters have the names and shapes of the public checkpoints; A, D and the recurrent state are F32 at least, whatever
 * the dtype of the model. The scan itself is in {@link dev.sequent.ssm.scan}, the short convolution in {@link dev.sequent.fused.conv}.
 *
 * <pre>{@code
 * Mamba mixer = MambaConfig.defaults().create(256, 6, new Init(device, 42));
 * Tensor y = mixer.forward(x, SequenceInfo.of(x));      // (B, T, 256) to (B, T, 256)
 * }</pre>
 */
package dev.sequent.ssm.mamba;
