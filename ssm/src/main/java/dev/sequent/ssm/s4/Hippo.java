package dev.sequent.ssm.s4;

import org.apache.commons.math3.linear.Array2DRowRealMatrix;
import org.apache.commons.math3.linear.EigenDecomposition;
import org.apache.commons.math3.linear.RealMatrix;

/**
 * The HiPPO-LegS matrices (Gu et al. 2020) and the spectrum of their normal part (Gu, Goel and Re 2021), in double precision.
 *
 * <p>A[n,k] = -sqrt((2n+1)(2k+1)) for n &gt; k, -(n+1) for n = k, 0 for n &lt; k; B[n] = sqrt(2n+1); P[n] = sqrt(n+1/2). A + P P^T = -1/2 I
 * + S with a skew-symmetric S, whose eigenvalues are purely imaginary and come in conjugate pairs.
 */
public final class Hippo {
    private Hippo() {}

    /** A of HiPPO-LegS, (N, N) row by row. */
    public static double[][] legsA(int n) {
        double[][] a = new double[n][n];
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < i; k++) {
                a[i][k] = -Math.sqrt((2.0 * i + 1) * (2.0 * k + 1));
            }
            a[i][i] = -(i + 1);
        }
        return a;
    }

    /** B of HiPPO-LegS, (N). */
    public static double[] legsB(int n) {
        double[] b = new double[n];
        for (int i = 0; i < n; i++) {
            b[i] = Math.sqrt(2.0 * i + 1);
        }
        return b;
    }

    /** P of HiPPO-LegS's normal-plus-low-rank form, (N). */
    public static double[] legsP(int n) {
        double[] p = new double[n];
        for (int i = 0; i < n; i++) {
            p[i] = Math.sqrt(i + 0.5);
        }
        return p;
    }

    /**
     * The half of a spectrum with positive imaginary parts, ascending, and B in the basis of its eigenvectors.
     *
     * @param re real parts, all -1/2
     * @param im imaginary parts
     * @param b V^H B, real and positive: an eigenvector's phase is free, and is chosen so. (The reference implementation leaves the phase
     *     to its eigensolver and clips the imaginary part of V^H B.)
     */
    public record Spectrum(double[] re, double[] im, double[] b) {}

    /** The spectrum of A + P P^T for an even number of states {@code n}. */
    public static Spectrum legsSpectrum(int n) {
        double[][] a = legsA(n);
        double[] p = legsP(n);
        RealMatrix skew = new Array2DRowRealMatrix(n, n);
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < n; k++) {
                skew.setEntry(i, k, a[i][k] + p[i] * p[k] + (i == k ? 0.5 : 0));
            }
        }
        // The square of a skew-symmetric matrix is symmetric: its eigenvectors span, in pairs, the planes that the skew matrix rotates.
        RealMatrix square = skew.multiply(skew).scalarMultiply(-1);
        // symmetric to the last bit, or the solver would take its general path, whose eigenvectors are not orthogonal
        EigenDecomposition symmetric = new EigenDecomposition(square.add(square.transpose()).scalarMultiply(0.5));
        double[] b = legsB(n);
        double[] re = new double[n / 2];
        double[] im = new double[n / 2];
        double[] projected = new double[n / 2];
        for (int pair = 0; pair < n / 2; pair++) {
            // eigenvalues of -S^2 are w^2, each twice, in descending order
            double[] x = symmetric.getEigenvector(n - 1 - 2 * pair).toArray();
            double[] sx = skew.operate(x);
            double w = Math.sqrt(dot(sx, sx));
            // S (x - i S x / w) = i w (x - i S x / w): an eigenvector, of length sqrt 2
            re[pair] = -0.5;
            im[pair] = w;
            projected[pair] = Math.hypot(dot(x, b), dot(sx, b) / w) / Math.sqrt(2);
        }
        return new Spectrum(re, im, projected);
    }

    private static double dot(double[] x, double[] y) {
        double sum = 0;
        for (int i = 0; i < x.length; i++) {
            sum += x[i] * y[i];
        }
        return sum;
    }
}
