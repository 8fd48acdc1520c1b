/**
 * Long convolutions by the fast Fourier transform: {@link dev.sequent.ssm.fft.LongConvolution} is the operation, with its contract, its
 * decomposition into tensor operations and a CPU kernel.
 *
 * <p>Invariant: the convolution is causal and linear (not circular). Short convolutions of a few taps do not belong here.
 *
 * <pre>{@code
 * Tensor y = LongConvolution.apply(u, k);   // u (B, T, E), k (E, T): y[b, t, e] = sum_s k[e, s] u[b, t - s, e]
 * }</pre>
 */
package dev.sequent.ssm.fft;
