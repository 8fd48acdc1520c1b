package dev.sequent.model;

import dev.sequent.model.ModelDescription.Load;
import dev.sequent.model.ModelDescription.Part;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** A {@link ModelDescription} in lines of at most some hundred characters. Layers that are alike are shown once. */
final class DescriptionText {
    private static final String LAYERS = "layers.";
    private static final int WIDTH = 100;

    private final ModelDescription model;
    private final StringBuilder text = new StringBuilder();

    private DescriptionText(ModelDescription model) {
        this.model = model;
    }

    static String of(ModelDescription model) {
        DescriptionText t = new DescriptionText(model);
        t.summary();
        t.parts();
        t.loads();
        return t.text.toString().stripTrailing();
    }

    private void line(String format, Object... values) {
        text.append(String.format(Locale.ROOT, format, values).stripTrailing()).append('\n');
    }

    private void summary() {
        long layers = model.parts().stream().filter(p -> p.name().startsWith(LAYERS)).count();
        line("family      %s: %d %s of width %d, vocabulary %d%s", model.family(), layers, layers == 1 ? "layer" : "layers", model.width(),
                model.vocabulary(), model.maxPositions() == 0 ? "" : ", at most " + model.maxPositions() + " positions");
        model.stored().ifPresent(s -> line("stored      %d tensors, %s: %s", s.tensors(), bytes(s.bytes()), types(s.values())));
        line("parameters  %,d, %s as %s", model.parameters(), bytes(model.bytes()), model.dtype());
        line("");
    }

    private static String types(Map<DType, Long> values) {
        if (values.size() == 1) {
            return values.keySet().iterator().next().toString();
        }
        return values.entrySet().stream().map(e -> String.format(Locale.ROOT, "%,d %s", e.getValue(), e.getKey()))
                .collect(Collectors.joining(", "));
    }

    private void parts() {
        line("%-34s %15s %7s %11s %12s", "part", "parameters", "share", "memory", "FLOPs/token");
        Map<String, List<Part>> alike = new LinkedHashMap<>();
        for (Part part : model.parts()) {
            alike.computeIfAbsent(part.name().startsWith(LAYERS) ? shape(part) : part.name(), _ -> new ArrayList<>()).add(part);
        }
        Map<String, String> settings = new LinkedHashMap<>();
        alike.values().forEach(group -> {
            Part first = group.getFirst();
            boolean layer = first.name().startsWith(LAYERS);
            boolean several = group.size() > 1;
            String layers = (several ? "layers " : "layer ") + (layer ? numbers(group) : "") + (several ? ", each" : "");
            row(0, layer ? layers : first.name() + " (" + first.kind() + ")", first);
            for (Part inner : first.parts()) {
                row(1, inner.name().substring(first.name().length() + 1) + " (" + inner.kind() + ")", inner);
                if (!inner.settings().isEmpty()) {
                    settings.merge(inner.kind(), settings(inner), (a, b) -> a.contains(b) ? a : a + "\n" + b);
                }
            }
        });
        line("");
        settings.forEach((kind, values) -> values.lines().forEach(v -> wrapped(kind + ": ", v.split(", "))));
        line("");
    }

    private void wrapped(String start, String[] items) {
        StringBuilder line = new StringBuilder(start);
        for (int i = 0; i < items.length; i++) {
            if (line.length() + items[i].length() > WIDTH) {
                line("%s", line);
                line.setLength(0);
                line.append("    ");
            }
            line.append(items[i]).append(i + 1 < items.length ? ", " : "");
        }
        line("%s", line);
    }

    /** What makes layers alike: everything but their numbers. */
    private static String shape(Part layer) {
        return layer.parts().stream().map(p -> p.kind() + p.settings() + p.parameters() + p.bytes() + p.cost()).toList().toString();
    }

    private static String settings(Part part) {
        return part.settings().entrySet().stream().map(e -> e.getKey() + " " + e.getValue()).collect(Collectors.joining(", "));
    }

    /** For example {@code 0-3, 5}. */
    private static String numbers(List<Part> layers) {
        TreeSet<Integer> numbers = new TreeSet<>();
        layers.forEach(l -> numbers.add(Integer.valueOf(l.name().substring(LAYERS.length()))));
        List<String> runs = new ArrayList<>();
        while (!numbers.isEmpty()) {
            int from = numbers.pollFirst();
            int to = from;
            while (numbers.remove(to + 1)) {
                to++;
            }
            runs.add(from == to ? from + "" : from + "-" + to);
        }
        return runs.size() > 4 ? String.join(", ", runs.subList(0, 3)) + ", ... " + runs.getLast() : String.join(", ", runs);
    }

    private void row(int depth, String name, Part part) {
        double share = 100.0 * part.parameters() / Math.max(1, model.parameters());
        line("%-34s %,15d %5.1f %% %11s %12s", "  ".repeat(depth) + name, part.parameters(), share, bytes(part.bytes()),
                count(part.work().flops()));
    }

    private void loads() {
        line("%-34s %15s %20s %12s", "context" + (model.batch() == 1 ? "" : ", " + model.batch() + " rows"), "states, caches",
                "with parameters",
                "FLOPs/token");
        for (Load load : model.loads()) {
            boolean beyond = model.maxPositions() > 0 && load.tokens() > model.maxPositions();
            line("%-34s %15s %20s %12s", String.format(Locale.ROOT, "%,d tokens%s", load.tokens(), beyond ? " (beyond its positions)" : ""),
                    bytes(load.stateBytes()), bytes(load.stateBytes() + model.bytes()), count(load.flopsPerToken()));
        }
    }

    /** A number with a decimal unit. */
    private static String count(double n) {
        String[] units = {"", " k", " M", " G", " T", " P"};
        double value = n;
        int unit = 0;
        while (value >= 1000 && unit < units.length - 1) {
            value /= 1000;
            unit++;
        }
        return String.format(Locale.ROOT, value < 10 && unit > 0 ? "%.1f%s" : "%.0f%s", value, units[unit]);
    }

    static String bytes(long n) {
        String[] units = {"B", "KiB", "MiB", "GiB", "TiB"};
        double value = n;
        int unit = 0;
        while (value >= 1024 && unit < units.length - 1) {
            value /= 1024;
            unit++;
        }
        return String.format(Locale.ROOT, value < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    }
}
