package dev.sequent.train;

import dev.sequent.type.ConfigException;

/** The learning rate as a function of the step, which counts from 0. */
@FunctionalInterface
public interface LrSchedule {
    /** The learning rate of step {@code step}. */
    double at(long step);

    /** Always the same. */
    static LrSchedule constant(double rate) {
        check(rate, 0, 0, 0, 0);
        return step -> rate;
    }

    /**
     * Linear warm-up from 0 to {@code peak}, then half a cosine down to {@code floor} at {@code steps}, where it stays (Loshchilov and
     * Hutter 2016).
     */
    static LrSchedule warmupCosine(double peak, double floor, long warmup, long steps) {
        check(peak, floor, warmup, 0, steps);
        return step -> {
            if (step < warmup) {
                return peak * (step + 1) / warmup;
            }
            double progress = steps == warmup ? 1 : Math.min(1, (step - warmup) / (double) (steps - warmup));
            return floor + 0.5 * (peak - floor) * (1 + Math.cos(Math.PI * progress));
        };
    }

    /**
     * Linear warm-up to {@code peak}, a constant stretch, then a linear descent to {@code floor} over the last {@code decay} steps (Hu et
     * al. 2024, "MiniCPM").
     */
    static LrSchedule warmupStableDecay(double peak, double floor, long warmup, long decay, long steps) {
        check(peak, floor, warmup, decay, steps);
        return step -> {
            if (step < warmup) {
                return peak * (step + 1) / warmup;
            }
            long left = Math.max(0, steps - step);
            return left >= decay ? peak : floor + (peak - floor) * left / decay;
        };
    }

    private static void check(double peak, double floor, long warmup, long decay, long steps) {
        if (!(peak >= 0 && peak < Double.POSITIVE_INFINITY) || !(floor >= 0 && floor < Double.POSITIVE_INFINITY)) {
            throw new ConfigException("schedule", "finite learning rates of at least 0", peak + " and " + floor);
        }
        if (warmup < 0 || decay < 0 || warmup > steps || decay > steps - warmup) {
            throw new ConfigException("schedule", "phases of at least 0 and together at most " + steps + " steps",
                    warmup + " and " + decay);
        }
    }
}
