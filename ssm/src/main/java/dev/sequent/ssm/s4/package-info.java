/**
 * The diagonal state-space layer S4D (Gu, Gupta, Goel and Re 2022, "On the Parameterization and Initialization of Diagonal State Space Models").
 *
 * <p>Start with {@link dev.sequent.ssm.s4.S4d}; {@link dev.sequent.ssm.s4.Hippo} has the matrices behind its initial values. Complex numbers are pairs of
 * real tensors throughout.
 *
 * <pre>{@code
 * S4dConfig config = S4dConfig.defaults().withInit("legs");
 * SequenceMixer<?> layer = config.create(128, 4, new Init(device, 42));
 * }</pre>
 */
package dev.sequent.ssm.s4;
