/**
 * Scans: the recurrences along time that state-space layers are made of, as fused operations. Start at
 * {@link dev.sequent.ssm.scan.SelectiveScan} (Mamba-1: every channel and state has a decay of its own), whose contract is
 * {@link dev.sequent.ssm.scan.SelectiveScanKernel} and whose CPU kernel is {@link dev.sequent.ssm.scan.SelectiveScanCpu}, or at
 * {@link dev.sequent.ssm.scan.StateSpaceDual} (Mamba-2: every head has one), whose contract is
 * {@link dev.sequent.ssm.scan.StateSpaceDualKernel}.
 *
 * <p>Invariants: a scan takes a differentiable initial state and returns a differentiable final one; documents do not leak into each other
 * and padding changes nothing; results do not depend on the number of threads. Layers with parameters do not belong here.
 *
 * <pre>{@code
 * SelectiveScan.Operands in = new SelectiveScan.Operands(u, delta, a, b, c, skip, deltaBias, true, z, null);
 * SelectiveScan.Result r = SelectiveScan.apply(in, info.flags());    // y (B, T, E), final state (B, E, N)
 * }</pre>
 */
package dev.sequent.ssm.scan;
