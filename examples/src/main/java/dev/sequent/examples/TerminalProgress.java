package dev.sequent.examples;

import dev.sequent.cost.Roofline;
import dev.sequent.train.TrainListener;
import java.util.Locale;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/**
 * A progress bar with loss, validation loss, tokens per second, fraction of the device's peak and time left, for a terminal. Elsewhere the
 * library's plain lines are better.
 */
final class TerminalProgress implements TrainListener, AutoCloseable {
    private static final int WIDTH = 140;
    /** Weight of the newest step in the running mean of loss and speed. */
    private static final double NEW = 0.05;

    private final ProgressBar bar;
    private final Roofline peak;
    private double loss = Double.NaN;
    private double rate = Double.NaN;
    private double fraction = Double.NaN;
    private double validation = Double.NaN;

    TerminalProgress(String task, long done, long steps, Roofline peak) {
        this.peak = peak;
        this.bar = new ProgressBarBuilder().setTaskName(String.format("%-11s", task)).setInitialMax(steps).setStyle(ProgressBarStyle.ASCII)
                .setMaxRenderedLength(WIDTH).setUpdateIntervalMillis(200).startsFrom(done, java.time.Duration.ZERO).build();
    }

    @Override
    public void step(Step s) {
        loss = mean(loss, s.loss());
        rate = mean(rate, s.tokens() / s.seconds());
        fraction = mean(fraction, s.flops() / s.seconds() / peak.flopsPerSecond());
        bar.stepTo(s.step());
        show();
    }

    @Override
    public void validation(Validation v) {
        validation = v.loss();
        show();
    }

    private static double mean(double soFar, double value) {
        return Double.isNaN(soFar) ? value : soFar + NEW * (value - soFar);
    }

    private void show() {
        String held = Double.isNaN(validation) ? "" : String.format(Locale.ROOT, "  validation %.4f", validation);
        bar.setExtraMessage(String.format(Locale.ROOT, " loss %.4f%s  %,.0f tokens/s  %.0f %% of peak", loss, held, rate, 100 * fraction));
    }

    @Override
    public void close() {
        bar.close();
    }
}
