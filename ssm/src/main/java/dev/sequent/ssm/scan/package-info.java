/**
 * Scans: the recurrences along time that state-space layers are made of, as fused operations. Start at
 * {@link dev.sequent.ssm.scan.SelectiveScan}; its contract is {@link dev.sequent.ssm.scan.SelectiveScanKernel}, its CPU kernel
 * {@link dev.sequent.ssm.scan.SelectiveScanCpu}.
 *
 * <p>Invariants: a scan takes a differentiable initial state and returns a differentiable final one; documents do not leak into each other and padding
 * changes nothing; results do not depend on the number of threads. Layers with parameters do not belong here.
 *
 * <pre>{@code
 * SelectiveScan.Operands in = new SelectiveScan.Operands(u, delta, a, b, c, skip, deltaBias, true, z, null);
 * SelectiveScan.Result r = SelectiveScan.apply(in, info.flags());    // y (B, T, E), final state (B, E, N)
 * }</pre>
 */
package dev.sequent.ssm.scan;
