package dev.sequent.fused.optim;

/**
 * What one AdamW update of one tensor multiplies by (Loshchilov and Hutter 2019):
 * g = scale gradient; m += (1 - beta1)(g - m); v += (1 - beta2)(g^2 - v); p = keep p - step m / (root sqrt(v) + eps).
 *
 * @param beta1 memory of the first moment
 * @param beta2 memory of the second moment
 * @param eps added to the root of the second moment
 * @param keep 1 - learning rate * decay
 * @param step learning rate / (1 - beta1^t)
 * @param root 1 / sqrt(1 - beta2^t)
 * @param scale factor of the gradient
 */
public record AdamWStep(float beta1, float beta2, float eps, float keep, float step, float root, float scale) {
    /**
     * The factors of update number {@code t}, counted from 1.
     *
     * @param decay decoupled weight decay
     * @param scale factor of the gradient, from clipping or accumulation
     */
    public static AdamWStep of(double beta1, double beta2, double eps, double learningRate, double decay, long t, double scale) {
        return new AdamWStep((float) beta1, (float) beta2, (float) eps, (float) (1 - learningRate * decay),
            (float) (learningRate / (1 - Math.pow(beta1, t))), (float) (1 / Math.sqrt(1 - Math.pow(beta2, t))), (float) scale);
    }
}
