package dev.sequent.examples;

/**
 * Sizes of a model, whatever its kind.
 *
 * @param width D
 * @param layers number of layers
 * @param heads attention heads, a divisor of D
 * @param stateSize N, state values per channel of state-space layers
 * @param dropout probability in training
 * @param pattern the layers of a hybrid as letters, or null for the usual one
 */
record Sizes(int width, int layers, int heads, int stateSize, double dropout, String pattern) {}
