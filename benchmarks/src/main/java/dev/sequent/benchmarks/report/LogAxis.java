package dev.sequent.benchmarks.report;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * A logarithmic axis and the numbers written beside it.
 *
 * @param low where it begins
 * @param high where it ends
 * @param binary whether ticks are powers of two, else of ten, with numbers between where there is room
 */
record LogAxis(double low, double high, boolean binary) {
    private static final double MARGIN = 0.04;
    private static final int MOST_TICKS = 11;
    private static final int FEWEST_TICKS = 3;
    private static final double[][] MANTISSAS = {{1}, {1, 3}, {1, 2, 5}, {1, 1.5, 2, 3, 4, 5, 6, 8}};

    /** A number on the axis. */
    record Tick(double value, String label) {}

    /** An axis on which all values lie. */
    static LogAxis of(List<Double> values, boolean binary) {
        double low = values.stream().mapToDouble(Double::doubleValue).min().orElse(1);
        double high = values.stream().mapToDouble(Double::doubleValue).max().orElse(10);
        double margin = Math.max(MARGIN * Math.log(high / low), 0.1);
        return new LogAxis(low * Math.exp(-margin), high * Math.exp(margin), binary);
    }

    /** Where {@code value} lies, from 0 at the beginning to 1 at the end. */
    double position(double value) {
        return Math.log(value / low) / Math.log(high / low);
    }

    List<Tick> ticks() {
        return binary ? powersOfTwo() : decimals();
    }

    private List<Tick> powersOfTwo() {
        int from = (int) Math.ceil(Math.log(low) / Math.log(2));
        int to = (int) Math.floor(Math.log(high) / Math.log(2));
        int step = Math.max(1, (to - from) / MOST_TICKS + 1);
        List<Tick> ticks = new ArrayList<>();
        for (int k = from; k <= to; k += step) {
            ticks.add(new Tick(Math.pow(2, k), power(k)));
        }
        return ticks;
    }

    private static String power(int k) {
        return k < 10 ? plain(Math.pow(2, k)) : k < 20 ? (1L << k - 10) + "k" : (1L << k - 20) + "M";
    }

    /** The fewest numbers that are enough, and of too many decades only every other or third. */
    private List<Tick> decimals() {
        List<Tick> ticks = List.of();
        for (double[] mantissas : MANTISSAS) {
            List<Tick> candidate = decimals(mantissas, 1);
            if (candidate.size() > MOST_TICKS) {
                return ticks.isEmpty() ? decimals(mantissas, candidate.size() / MOST_TICKS + 1) : ticks;
            }
            ticks = candidate;
            if (ticks.size() > FEWEST_TICKS + 2) {
                return ticks;
            }
        }
        return ticks;
    }

    private List<Tick> decimals(double[] mantissas, int step) {
        List<Tick> ticks = new ArrayList<>();
        for (int decade = (int) Math.floor(Math.log10(low)); decade <= Math.log10(high); decade += step) {
            for (double mantissa : mantissas) {
                double value = mantissa * Math.pow(10, decade);
                if (value >= low && value <= high) {
                    ticks.add(new Tick(value, plain(value)));
                }
            }
        }
        return ticks;
    }

    private static String plain(double value) {
        return value >= 1000 ? String.format(Locale.ROOT, "%,.0f", value) : new BigDecimal(value).round(new MathContext(3))
                .stripTrailingZeros().toPlainString();
    }
}
