package dev.sequent.train;

import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;

/** Prints one plain line every few steps: loss, tokens per second, time left. For a terminal's progress bar see the examples. */
public final class ProgressPrinter implements TrainListener {
    private final PrintStream out;
    private final long every;
    private double loss;
    private double seconds;
    private long tokens;
    private long steps;

    /** Prints to {@code out} every {@code every} steps. */
    public ProgressPrinter(PrintStream out, long every) {
        this.out = out;
        this.every = Math.max(1, every);
    }

    @Override
    public void step(Step s) {
        loss += s.loss();
        seconds += s.seconds();
        tokens += s.tokens();
        steps++;
        if (s.step() % every == 0 || s.step() == s.steps()) {
            Duration left = Duration.ofMillis(Math.round(1000 * seconds / steps * (s.steps() - s.step())));
            out.printf(Locale.ROOT, "step %d/%d  loss %.4f  %.0f tokens/s  %d:%02d left%n", s.step(), s.steps(), loss / steps, tokens / seconds,
                    left.toMinutes(), left.toSecondsPart());
            loss = 0;
            seconds = 0;
            tokens = 0;
            steps = 0;
        }
    }

    @Override
    public void validation(Validation v) {
        out.printf(Locale.ROOT, "step %d  validation loss %.4f%n", v.step(), v.loss());
    }
}
