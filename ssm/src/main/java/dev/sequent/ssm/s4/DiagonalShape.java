package dev.sequent.ssm.s4;

/**
 * Sizes of a {@link DiagonalScan}.
 *
 * @param batch B, sequences
 * @param tokens T, tokens of each sequence
 * @param channels E, independent channels
 * @param pairs P, conjugate pairs of states of each channel
 */
record DiagonalShape(int batch, int tokens, int channels, int pairs) {}
