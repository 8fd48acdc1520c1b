package dev.sequent.ssm.fft;

import java.util.Arrays;

/**
 * Complex Fourier transforms of power-of-two length, for a fixed number of channels side by side: element (i, c) of a signal is at
 * {@code i * LANES + c}. All inner loops run over at least {@link #LANES} neighbours, which the compiler turns into vector code whatever
 * the stage.
 *
 * <p>Stockham's autosort radix-2 algorithm: every stage reads one pair of arrays and writes another, so no bit reversal is needed.
 * Transforms are unnormalised. Immutable and thread-safe.
 */
final class Fft {
    /** Channels that are transformed together. */
    static final int LANES = 16;

    private final int length;
    private final float[] cos;
    private final float[] sin;

    /** A transform of {@code length} points, a power of two. */
    Fft(int length) {
        this.length = length;
        this.cos = new float[Math.max(1, length / 2)];
        this.sin = new float[Math.max(1, length / 2)];
        for (int i = 0; i < length / 2; i++) {
            cos[i] = (float) Math.cos(2 * Math.PI * i / length);
            sin[i] = (float) Math.sin(2 * Math.PI * i / length);
        }
    }

    /** The smallest power of two that holds the linear convolution of two signals of {@code time} elements. */
    static int lengthFor(int time) {
        return time <= 1 ? 2 : Integer.highestOneBit(2 * time - 1) << 1;
    }

    int length() {
        return length;
    }

    /** A complex signal of {@link #LANES} channels with the scratch that a transform needs. */
    static final class Signal {
        float[] re;
        float[] im;
        private float[] re2;
        private float[] im2;

        Signal(int length) {
            re = new float[length * LANES];
            im = new float[length * LANES];
            re2 = new float[length * LANES];
            im2 = new float[length * LANES];
        }

        /** Sets all points to zero. */
        void clear() {
            Arrays.fill(re, 0);
            Arrays.fill(im, 0);
        }

        private void swap() {
            float[] r = re;
            re = re2;
            re2 = r;
            float[] i = im;
            im = im2;
            im2 = i;
        }
    }

    /** Transforms in place: sum_t x_t e^{-2 pi i t f / n}, or with e^{+...} when {@code inverse}. */
    void transform(Signal x, boolean inverse) {
        int stride = LANES;
        for (int half = length / 2; half >= 1; half /= 2) {
            int step = length / 2 / half; // twiddle of butterfly p is the (p * step)-th of the table
            for (int p = 0; p < half; p++) {
                float c = cos[p * step];
                float s = inverse ? sin[p * step] : -sin[p * step];
                butterflies(x.re, x.im, x.re2, x.im2, stride * p, stride * (p + half), stride * 2 * p, stride * (2 * p + 1), stride, c, s);
            }
            x.swap();
            stride *= 2;
        }
    }

    private static void butterflies(float[] xr, float[] xi, float[] yr, float[] yi, int a, int b, int sum, int difference, int n, float c,
            float s) {
        for (int q = 0; q < n; q++) {
            float ar = xr[a + q];
            float br = xr[b + q];
            float ai = xi[a + q];
            float bi = xi[b + q];
            float dr = ar - br;
            float di = ai - bi;
            yr[sum + q] = ar + br;
            yi[sum + q] = ai + bi;
            yr[difference + q] = dr * c - di * s;
            yi[difference + q] = dr * s + di * c;
        }
    }
}
