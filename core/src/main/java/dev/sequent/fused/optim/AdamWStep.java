package dev.sequent.fused.optim;

/**
 * What one AdamW update of one tensor multiplies by (Loshchilov and Hutter 2019):
 * g = scale gradient; m += (1 - beta1)(g - m); v += (1 - beta2)(g^2 - v); p = keep p - step m / (root sqrt(v) + eps).
 *
 * <p>In double, so that F64 models are updated in F64; kernels in F32 round each factor once.
 *
 * @param beta1 memory of the first moment
 * @param beta2 memory of the second moment
 * @param eps added to the root of the second moment
 * @param keep 1 - learning rate * decay
 * @param step learning rate / (1 - beta1^t)
 * @param root 1 / sqrt(1 - beta2^t)
 * @param scale factor of the gradient
 */
public record AdamWStep(double beta1, double beta2, double eps, double keep, double step, double root, double scale) {
    /**
     * The factors of update number {@code t}, counted from 1.
     *
     * @param decay decoupled weight decay
     * @param scale factor of the gradient, from clipping or accumulation
     */
    public static AdamWStep of(double beta1, double beta2, double eps, double learningRate, double decay, long t, double scale) {
        return new AdamWStep(beta1, beta2, eps, 1 - learningRate * decay, learningRate / (1 - Math.pow(beta1, t)),
            1 / Math.sqrt(1 - Math.pow(beta2, t)), scale);
    }
}
