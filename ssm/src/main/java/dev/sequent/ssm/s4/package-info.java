/**
 * The diagonal state-space layer S4D (Gu, Gupta, Goel and Re 2022, "On the Parameterization and Initialization of Diagonal State Space
 * Models").
 *
 * <p>Start with {@link dev.sequent.ssm.s4.S4d}; {@link dev.sequent.ssm.s4.Hippo} has the matrices behind its initial values, and
 * {@link dev.sequent.ssm.s4.DiagonalScan} is the state-space model itself as one operation, with its decomposition into tensor operations
 * and a CPU kernel. Complex numbers are pairs of real tensors throughout.
 *
 * <p>Invariant: a sequence, the same sequence in pieces, and its tokens one by one give the same outputs and states. Models whose
 * coefficients depend on the token do not belong here; see {@code dev.sequent.ssm.scan}.
 *
 * <pre>{@code
 * S4dConfig config = S4dConfig.defaults().withInit("legs");
 * SequenceMixer<?> layer = config.create(128, 4, new Init(device, 42));
 * }</pre>
 */
package dev.sequent.ssm.s4;
