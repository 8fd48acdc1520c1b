/**
 * The one interface behind which state-space layers, attention and convolutions are interchangeable:
 * {@link dev.sequent.mixer.SequenceMixer}, with its states, costs and configurations.
 *
 * <p>Laws, proven for every mixer on every backend by the testkit: forward == prefill == step; a prompt may be cut anywhere; no output
 * depends on a later token, on another row or on another document; padding is invisible; derivatives flow through carried states of
 * recurrent mixers; {@link dev.sequent.mixer.SequenceMixer#cost} states the bytes that a state really occupies. Mixers themselves live in
 * the modules {@code ssm} and {@code transformer}; kinds are found by name through {@link dev.sequent.mixer.MixerProvider}.
 *
 * <pre>{@code
 * Tensor all = mixer.forward(x, SequenceInfo.of(x));                     // (B, T, D)
 * try (S state = mixer.newState(new StateSpec(B, T, DType.F32, device))) {
 *     Tensor head = mixer.prefill(x.slice(1, 0, 10), state);             // equals all[:, :10]
 *     Tensor next = mixer.step(x.slice(1, 10, 11), state);               // equals all[:, 10:11]
 * }
 * }</pre>
 */
package dev.sequent.mixer;
