package dev.sequent.op;

/** Scalar functions that {@link Math} lacks, accurate to double precision. */
public final class ScalarMath {
    static final double SQRT_HALF = Math.sqrt(0.5);
    /** The root of 2 / pi. */
    public static final double SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);
    private static final double TWO_OVER_SQRT_PI = 0x1.20dd750429b6dp0;
    /** What the rounded constant lacks. */
    private static final double TWO_OVER_SQRT_PI_REST = 0x1.1ae3a914fed80p-56;
    private static final double[] ERF_TERMS = erfTerms();

    private ScalarMath() {}

    /** Logistic function 1 / (1 + e^-x), without overflow for any x. */
    public static double sigmoid(double x) {
        if (x >= 0) {
            return 1 / (1 + Math.exp(-x));
        }
        double e = Math.exp(x);
        return e / (1 + e);
    }

    /** log(1 + e^x) without overflow for any x. */
    public static double softplus(double x) {
        return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
    }

    /**
     * Error function: its Maclaurin series up to |x| = 0.9 and Laplace's continued fraction of erfc beyond
     * (Abramowitz and Stegun 7.1.5 and 7.1.14); relative error below 3e-16.
     */
    public static double erf(double x) {
        double a = Math.abs(x);
        if (Double.isNaN(x)) {
            return x;
        }
        if (a > 6) {
            return Math.signum(x);
        }
        return a < 0.9 ? series(x) : Math.signum(x) * (1 - tail(a));
    }

    private static double series(double x) {
        // 2/sqrt(pi) sum_n (-1)^n x^{2n+1} / (n! (2n+1)); the terms shrink fast, so little cancels
        double square = x * x;
        double rest = 0;
        for (int n = ERF_TERMS.length - 1; n >= 1; n--) {
            rest = rest * square + ERF_TERMS[n];
        }
        double sum = x + x * (square * rest);
        return Math.fma(sum, TWO_OVER_SQRT_PI, sum * TWO_OVER_SQRT_PI_REST);
    }

    private static double[] erfTerms() {
        double[] terms = new double[22];
        double factorial = 1;
        for (int n = 0; n < terms.length; n++) {
            factorial *= Math.max(1, n);
            terms[n] = (n % 2 == 0 ? 1 : -1) / (factorial * (2 * n + 1));
        }
        return terms;
    }

    private static double tail(double x) {
        double square = x * x;
        double f = 0;
        for (int n = (int) (190 / square) + 10; n >= 1; n--) {
            f = n / 2.0 / (x + f);
        }
        // what rounding the square loses is put back
        double gauss = Math.exp(-square) * (1 - Math.fma(x, x, -square));
        return gauss / Math.sqrt(Math.PI) / (x + f);
    }
}
