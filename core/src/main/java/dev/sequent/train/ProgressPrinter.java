package dev.sequent.train;

import dev.sequent.cost.Roofline;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;

/**
 * Prints one plain line every few steps: loss, tokens per second, fraction of the device's peak, time left. For a terminal's progress bar
 * see the examples.
 */
public final class ProgressPrinter implements TrainListener {
    private final PrintStream out;
    private final long every;
    private double loss;
    private double seconds;
    private long tokens;
    private long steps;
    private double flops;
    private final Roofline peak;

    /** Prints to {@code out} every {@code every} steps. */
    public ProgressPrinter(PrintStream out, long every) {
        this(out, every, null);
    }

    /** Prints to {@code out} every {@code every} steps, with the speed as a fraction of {@code peak}. */
    public ProgressPrinter(PrintStream out, long every, Roofline peak) {
        this.out = out;
        this.every = Math.max(1, every);
        this.peak = peak;
    }

    @Override
    public void step(Step s) {
        loss += s.loss();
        seconds += s.seconds();
        tokens += s.tokens();
        steps++;
        flops += s.flops();
        if (s.step() % every == 0 || s.step() == s.steps()) {
            Duration left = Duration.ofMillis(Math.round(1000 * seconds / steps * (s.steps() - s.step())));
            String fraction = peak == null ? "" : String.format(Locale.ROOT, "%.0f %% of peak  ",
                    100 * flops / seconds / peak.flopsPerSecond());
            out.printf(Locale.ROOT, "step %d/%d  loss %.4f  %.0f tokens/s  %s%d:%02d left%n", s.step(), s.steps(), loss / steps,
                    tokens / seconds, fraction, left.toMinutes(), left.toSecondsPart());
            loss = 0;
            seconds = 0;
            tokens = 0;
            steps = 0;
            flops = 0;
        }
    }

    @Override
    public void validation(Validation v) {
        out.printf(Locale.ROOT, "step %d  validation loss %.4f%n", v.step(), v.loss());
    }
}
