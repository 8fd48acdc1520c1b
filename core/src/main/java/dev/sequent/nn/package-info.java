/**
 * Layers, their parameters and initial values. Start with {@link dev.sequent.nn.Layer} and {@link dev.sequent.nn.Linear}.
 *
 * <p>Invariants: parameters and children have explicit names, which together are the names in a checkpoint; a layer owns its parameters;
 * initial values come from one random stream, {@link dev.sequent.nn.Init}, so that a seed determines a model. Layers that mix positions are
 * sequence mixers and live in {@code dev.sequent.mixer} and the modules built on it. {@link dev.sequent.nn.MixtureOfExperts} reads the
 * experts it chose on the host; every other layer leaves values on the device.
 *
 * <pre>{@code
 * final class Scale extends Layer {
 *     private final Parameter weight;
 *
 *     Scale(Init init, long width) {
 *         this.weight = param("weight", init.constant(1, width), Parameter.Flag.NO_DECAY);
 *     }
 *
 *     Tensor forward(Tensor x) {
 *         return x.mul(weight.value());
 *     }
 * }
 * }</pre>
 */
package dev.sequent.nn;
