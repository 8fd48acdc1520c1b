/**
 * State-space sequence mixers. Start at {@link dev.sequent.ssm.mamba.Mamba} (selective state spaces); the recurrences that layers share are
 * fused operations in {@link dev.sequent.ssm.scan}.
 *
 * <p>Invariants: every mixer is a {@link dev.sequent.mixer.RecurrentMixer}, so that its initial and final state are differentiable, and is
 * registered by name for {@link dev.sequent.mixer.Mixers}. Attention does not belong here, nor does anything that a Transformer needs too.
 *
 * <pre>{@code
 * MixerConfig config = Mixers.parse("mamba", Map.of("state_size", 16));
 * SequenceMixer<?> mixer = config.create(256, 6, new Init(device, 42));
 * }</pre>
 */
package dev.sequent.ssm;
