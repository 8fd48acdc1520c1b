package dev.sequent.op;

/** Scalar functions that {@link Math} lacks, accurate to double precision. */
public final class ScalarMath {
    static final double SQRT_HALF = Math.sqrt(0.5);
    static final double SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);
    private static final double TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

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
     * Error function: its Maclaurin series up to |x| = 1.5 and Laplace's continued fraction of erfc beyond
     * (Abramowitz and Stegun 7.1.6 and 7.1.14); relative error below 1e-15.
     */
    public static double erf(double x) {
        double a = Math.abs(x);
        if (Double.isNaN(x)) {
            return x;
        }
        if (a > 6) {
            return Math.signum(x);
        }
        return a < 1.5 ? series(x) : Math.signum(x) * (1 - tail(a));
    }

    private static double series(double x) {
        // erf(x) = 2/sqrt(pi) e^{-x^2} sum_n 2^n x^{2n+1} / (1 3 5 ... (2n+1)): all terms positive, no cancellation
        double term = x;
        double sum = x;
        for (int n = 1; Math.abs(term) > 1e-17 * Math.abs(sum) && n < 200; n++) {
            term *= 2 * x * x / (2 * n + 1);
            sum += term;
        }
        return TWO_OVER_SQRT_PI * gauss(x) * sum;
    }

    private static double tail(double x) {
        double f = 0;
        for (int n = 120; n >= 1; n--) {
            f = n / 2.0 / (x + f);
        }
        return gauss(x) / Math.sqrt(Math.PI) / (x + f);
    }

    /** e^(-x^2), with what rounding the square loses put back. */
    private static double gauss(double x) {
        double square = x * x;
        return Math.exp(-square) * (1 - Math.fma(x, x, -square));
    }
}
