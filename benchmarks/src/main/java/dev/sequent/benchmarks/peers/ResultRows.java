package dev.sequent.benchmarks.peers;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The results of both sides, in the form that JMH writes and the report reads; rows of a peer have a member {@code source}. */
final class ResultRows {
    /** Above the lines that {@link #add} returns. */
    static final String HEADER = String.format(Locale.ROOT, "%-55s %28s %28s %24s", "ms a call: median (quartiles)", "ours", "peer's",
            "peer / ours");
    private static final double BUSY = 0.05;

    private final String peer;
    private final int threads;
    private final List<Map<String, Object>> rows = new ArrayList<>();

    ResultRows(String peer, int threads) {
        this.peer = peer;
        this.threads = threads;
    }

    /** All rows so far. */
    List<Map<String, Object>> all() {
        return rows;
    }

    /** Adds both sides of a comparison and returns them as a line of a table. */
    String add(Contest contest, Subject subject, Duel.Outcome outcome) {
        rows.add(row("sequent", subject, outcome.ours()));
        rows.add(row(contest.variant().isEmpty() ? peer : peer + " " + contest.variant(), subject, outcome.theirs()));
        double[] ratios = outcome.ratios();
        String ratio = String.format(Locale.ROOT, "%.2f (%.2f-%.2f)", Duel.quantile(ratios, 50), Duel.quantile(ratios, 25),
                Duel.quantile(ratios, 75));
        return String.format(Locale.ROOT, "%28s %28s %24s%s%s", text(outcome.ours()), text(outcome.theirs()), ratio,
                busy("we", outcome.oursIdle()),
                busy("the peer", outcome.theirsIdle()));
    }

    private static String text(Duel.Times t) {
        return String.format(Locale.ROOT, "%.4g (%.4g-%.4g)", 1e3 * t.median(), 1e3 * t.quantile(25), 1e3 * t.quantile(75));
    }

    private static String busy(String who, double processors) {
        return processors > BUSY ? String.format(Locale.ROOT, " [%s kept %.2f processors busy while the other side ran]", who, processors)
                : "";
    }

    private Map<String, Object> row(String source, Subject subject, Duel.Times times) {
        Map<String, Object> parameters = new LinkedHashMap<>(Map.of("backend", "cpu", "threads", threads + ""));
        parameters.putAll(subject.parameters());
        Map<String, Object> gauges = new LinkedHashMap<>();
        subject.gauges().forEach((name, value) -> gauges.put(name, Map.of("score", value)));
        Map<String, Object> row = new LinkedHashMap<>();
        row.put("source", source);
        row.put("benchmark", "dev.sequent.benchmarks." + subject.benchmark());
        row.put("params", parameters);
        row.put("primaryMetric", Map.of("score", 1e6 * times.median(), "scoreError", "NaN", "scoreUnit", "us/op",
                "scorePercentiles", Map.of("25.0", 1e6 * times.quantile(25), "50.0", 1e6 * times.median(), "75.0",
                1e6 * times.quantile(75))));
        row.put("secondaryMetrics", gauges);
        return row;
    }
}
