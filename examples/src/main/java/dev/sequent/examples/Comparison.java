package dev.sequent.examples;

import dev.sequent.model.ModelDescription;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** A table of trained models, readable on a terminal and as Markdown. */
final class Comparison {
    private static final long[] LENGTHS = {1 << 10, 1 << 15, 1 << 20};
    private static final List<String> HEADER = List.of("model", "layers", "parameters", "nats/char", "bits/char", "train tokens/s",
            "train time",
            "state at 1k", "at 32k", "at 1M", "decode tokens/s");

    private Comparison() {}

    static String table(List<TrainedModel> models) {
        List<List<String>> rows = new ArrayList<>();
        rows.add(HEADER);
        models.forEach(m -> rows.add(row(m)));
        int[] widths = new int[HEADER.size()];
        rows.forEach(r -> {
            for (int i = 0; i < widths.length; i++) {
                widths[i] = Math.max(widths[i], r.get(i).length());
            }
        });
        StringBuilder table = new StringBuilder();
        for (int i = 0; i < rows.size(); i++) {
            append(table, rows.get(i), widths);
            if (i == 0) {
                rule(table, widths);
            }
        }
        return table.toString();
    }

    private static List<String> row(TrainedModel m) {
        List<String> row = new ArrayList<>(List.of(m.kind().label(), m.layers(), String.format(Locale.ROOT, "%,d", m.parameters()),
                String.format(Locale.ROOT, "%.3f", m.nats()), String.format(Locale.ROOT, "%.3f", m.bits()),
                String.format(Locale.ROOT, "%,.0f", m.trainRate()), String.format(Locale.ROOT, "%.0f s", m.curve().seconds())));
        for (long length : LENGTHS) {
            row.add(ModelDescription.bytes(m.state().bytesAt(length)));
        }
        row.add(String.format(Locale.ROOT, "%,.0f", m.decodeRate()));
        return row;
    }

    /** The model's name and layers to the left, numbers to the right. */
    private static void append(StringBuilder table, List<String> cells, int[] widths) {
        for (int i = 0; i < widths.length; i++) {
            table.append("| ").append(String.format(i < 2 ? "%-" + widths[i] + "s " : "%" + widths[i] + "s ", cells.get(i)));
        }
        table.append("|\n");
    }

    private static void rule(StringBuilder table, int[] widths) {
        for (int i = 0; i < widths.length; i++) {
            table.append("|").append("-".repeat(widths[i] + (i < 2 ? 2 : 1))).append(i < 2 ? "" : ":");
        }
        table.append("|\n");
    }
}
