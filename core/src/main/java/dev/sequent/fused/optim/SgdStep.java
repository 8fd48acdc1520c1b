package dev.sequent.fused.optim;

/**
 * What one step of gradient descent of one tensor multiplies by:
 * g = scale gradient + decay p; b = momentum b + g; p -= learningRate (nesterov ? g + momentum b : b).
 *
 * @param learningRate length of the step
 * @param momentum memory of the velocity b
 * @param decay weight decay, added to the gradient
 * @param nesterov whether the step looks ahead along the velocity
 * @param scale factor of the gradient
 */
public record SgdStep(double learningRate, double momentum, double decay, boolean nesterov, double scale) {}
