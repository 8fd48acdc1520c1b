package dev.sequent.transformer.position;

/**
 * Cosines and sines of all angles up to a position, row by row. Not to be changed.
 *
 * @param positions number of rows
 * @param half number of angles per row: half the rotated channels
 * @param cos cosines times the attention factor
 * @param sin sines times the attention factor
 */
public record RotaryTable(int positions, int half, float[] cos, float[] sin) {}
