package dev.sequent.benchmarks.report;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.apache.commons.math3.exception.MathIllegalArgumentException;
import org.apache.commons.math3.stat.regression.SimpleRegression;

/**
 * A fit y = c x^exponent by least squares in the logarithms.
 *
 * @param exponent the power
 * @param halfWidth half the width of its 95 % confidence interval, NaN for fewer than three points
 * @param factor c
 */
record PowerLaw(double exponent, double halfWidth, double factor) {
    /** A point with positive coordinates. */
    record Point(double x, double y) {}

    static PowerLaw fit(List<Point> points) {
        SimpleRegression regression = new SimpleRegression();
        points.forEach(p -> regression.addData(Math.log(p.x()), Math.log(p.y())));
        double half = Double.NaN;
        if (points.size() > 2) {
            try {
                half = regression.getSlopeConfidenceInterval();
            } catch (MathIllegalArgumentException e) {
                half = Double.NaN; // all points at one x
            }
        }
        return new PowerLaw(regression.getSlope(), half, Math.exp(regression.getIntercept()));
    }

    /**
     * A change of order.
     *
     * @param x from where on the order is that of the largest common x
     * @param firstIsLess what this order is
     */
    record Crossover(double x, boolean firstIsLess) {}

    /**
     * The last place where two sides are equal, by straight lines in the logarithms between neighbouring points of the same x; empty where
     * their order never changes.
     */
    static Optional<Crossover> crossover(List<Point> a, List<Point> b) {
        double crossover = Double.NaN;
        double lastX = Double.NaN;
        double last = Double.NaN;
        for (Point p : a) {
            for (Point q : b) {
                double difference = Math.log(p.y()) - Math.log(q.y());
                if (p.x() != q.x() || difference == 0) {
                    continue; // where both are equal, their neighbours tell whether the order changes
                }
                if (!Double.isNaN(last) && last * difference < 0) {
                    double share = last / (last - difference);
                    crossover = Math.exp(Math.log(lastX) + share * (Math.log(p.x()) - Math.log(lastX)));
                }
                lastX = p.x();
                last = difference;
            }
        }
        return Double.isNaN(crossover) ? Optional.empty() : Optional.of(new Crossover(crossover, last < 0));
    }

    @Override
    public String toString() {
        return Double.isNaN(halfWidth) ? String.format(Locale.ROOT, "%.2f", exponent)
                : String.format(Locale.ROOT, "%.2f ± %.2f", exponent, halfWidth);
    }
}
