/**
 * Causal depthwise convolution along time, the short convolution of state-space layers: {@link dev.sequent.fused.conv.CausalConv} is the
 * entry, with its contract {@link dev.sequent.fused.conv.CausalConvKernel}, its decomposition into tensor operations and its kernel for the
 * CPU.
 *
 * <p>Invariants: taps never reach over the start of a document and never see padding; initial and final state are differentiable.
 * Long convolutions, which need a Fourier transform, do not belong here.
 *
 * <pre>{@code
 * CausalConv.Result r = CausalConv.apply(x, weight, bias, true, null, null);   // y = silu(conv(x)), (B, T, E)
 * }</pre>
 */
package dev.sequent.fused.conv;
