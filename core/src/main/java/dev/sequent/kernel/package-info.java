/**
 * How fused operations find hand-written kernels. An operation (a scan, attention, a norm) is one package somewhere that holds its
 * contract, a sub-interface of {@link dev.sequent.kernel.Kernel}; its decomposition into tensor operations, which runs everywhere and is
 * the oracle; and kernels for single backends, offered through {@link dev.sequent.kernel.KernelProvider}.
 *
 * <p>Invariants: {@code -Dsequent.fused=auto|off|require} decides whether kernels are used; a kernel that cannot compute a problem says
 * why; a kernel never changes what is computed, only how fast. Kernels themselves do not belong here.
 *
 * <pre>{@code
 * Optional<SelectiveScanKernel> kernel = KernelTable.of(device).select(SelectiveScanKernel.class, k -> k.refusal(problem));
 * return kernel.isPresent() ? fused(kernel.get(), problem) : decomposed(problem);
 * }</pre>
 */
package dev.sequent.kernel;
