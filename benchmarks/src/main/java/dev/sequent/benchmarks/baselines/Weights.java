package dev.sequent.benchmarks.baselines;

import java.util.SplittableRandom;

/**
 * The weights of a layer of width D, row-major, as (outputs, inputs).
 *
 * @param layer {@code attention}: q, k, v and o, four matrices (D, D) without biases, {@value #HEADS} heads, every token sees all.
 *     {@code lstm}: two matrices (4 D, D) of the gates i, f, g, o from the input and from the previous output, and biases (4 D)
 * @param matrices as above
 */
record Weights(String layer, float[][] matrices) {
    /** D. */
    static final int WIDTH = 256;
    /** H. */
    static final int HEADS = 4;

    /** Weights that keep results of the order of their inputs. */
    static Weights of(String layer) {
        int square = WIDTH * WIDTH;
        int[] sizes = switch (layer) {
            case "attention" -> new int[] {square, square, square, square};
            case "lstm" -> new int[] {4 * square, 4 * square, 4 * WIDTH};
            default -> throw new IllegalArgumentException("expected attention or lstm, given " + layer);
        };
        float[][] matrices = new float[sizes.length][];
        for (int i = 0; i < sizes.length; i++) {
            matrices[i] = draw(i + 1, sizes[i], 1 / Math.sqrt(WIDTH));
        }
        return new Weights(layer, matrices);
    }

    /** An input, (T, D). */
    static float[] input(int time) {
        return draw(0, time * WIDTH, 1);
    }

    private static float[] draw(int seed, int count, double bound) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextDouble(-bound, bound);
        }
        return values;
    }

    /** (outputs, inputs) as (inputs, outputs). */
    static float[] transposed(float[] matrix, int outputs, int inputs) {
        float[] t = new float[matrix.length];
        for (int i = 0; i < outputs; i++) {
            for (int j = 0; j < inputs; j++) {
                t[j * outputs + i] = matrix[i * inputs + j];
            }
        }
        return t;
    }

    /** What the layer computes of {@code x}, (T, D), in plain loops over doubles. */
    double[] expected(float[] x) {
        return layer.equals("lstm") ? lstm(x) : attention(x);
    }

    private double[] lstm(float[] x) {
        int d = WIDTH;
        double[] out = new double[x.length];
        double[] h = new double[d];
        double[] c = new double[d];
        for (int t = 0; t < x.length / d; t++) {
            double[] gates = new double[4 * d];
            for (int r = 0; r < 4 * d; r++) {
                double sum = matrices[2][r];
                for (int j = 0; j < d; j++) {
                    sum += (double) matrices[0][r * d + j] * x[t * d + j] + matrices[1][r * d + j] * h[j];
                }
                gates[r] = sum;
            }
            for (int j = 0; j < d; j++) {
                c[j] = sigmoid(gates[d + j]) * c[j] + sigmoid(gates[j]) * Math.tanh(gates[2 * d + j]);
                h[j] = sigmoid(gates[3 * d + j]) * Math.tanh(c[j]);
                out[t * d + j] = h[j];
            }
        }
        return out;
    }

    private static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    private double[] attention(float[] x) {
        int d = WIDTH;
        int p = d / HEADS;
        int time = x.length / d;
        double[] in = new double[x.length];
        for (int i = 0; i < in.length; i++) {
            in[i] = x[i];
        }
        double[] q = project(in, matrices[0]);
        double[] k = project(in, matrices[1]);
        double[] v = project(in, matrices[2]);
        double[] mixed = new double[x.length];
        double[] weights = new double[time];
        for (int row = 0; row < time * HEADS; row++) {
            int from = row / HEADS * d + row % HEADS * p; // token, head
            double total = 0;
            for (int s = 0; s < time; s++) {
                double score = 0;
                for (int j = 0; j < p; j++) {
                    score += q[from + j] * k[s * d + row % HEADS * p + j];
                }
                weights[s] = Math.exp(score / Math.sqrt(p));
                total += weights[s];
            }
            for (int s = 0; s < time; s++) {
                for (int j = 0; j < p; j++) {
                    mixed[from + j] += weights[s] / total * v[s * d + row % HEADS * p + j];
                }
            }
        }
        return project(mixed, matrices[3]);
    }

    private static double[] project(double[] x, float[] w) {
        int d = WIDTH;
        double[] y = new double[x.length];
        for (int t = 0; t < x.length / d; t++) {
            for (int i = 0; i < d; i++) {
                double sum = 0;
                for (int j = 0; j < d; j++) {
                    sum += w[i * d + j] * x[t * d + j];
                }
                y[t * d + i] = sum;
            }
        }
        return y;
    }
}
