package dev.sequent.backend;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.service.Services;
import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendProvider;
import dev.sequent.spi.Capabilities;
import dev.sequent.spi.Detour;
import dev.sequent.spi.ExplainSection;
import dev.sequent.spi.Probe;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** The text of {@link Backends#explain()}: what was found, and a table of operations by devices. Used by one thread. */
final class Explanation {
    private static final int NAMES_WIDTH = 56;

    private final StringBuilder text = new StringBuilder();
    private final List<Column> columns = new ArrayList<>();
    private final List<Backend> opened = new ArrayList<>();

    /** One device of an opened backend, the {@code owner}-th of all that were opened. */
    private record Column(int owner, String name, Capabilities can) {}

    private Explanation() {}

    static String of(Discovery discovery) {
        Explanation explanation = new Explanation();
        try {
            explanation.found(discovery);
            if (!explanation.columns.isEmpty()) {
                explanation.dtypes();
                explanation.operations();
                explanation.sections();
                explanation.detours();
            }
        } finally {
            explanation.opened.forEach(Backend::close);
        }
        return explanation.text.toString();
    }

    private void found(Discovery discovery) {
        line("backends, preferred first (choose one with -D" + Backends.PROPERTY + "=NAME):");
        line(String.format("  %-12s %8s  %s", "name", "priority", "found"));
        for (BackendProvider provider : discovery.providers()) {
            Probe probe = Discovery.probe(provider);
            line(String.format("  %-12s %8d  %s", provider.name(), provider.priority(), probe));
            if (probe.isAvailable()) {
                open(provider);
            }
        }
        for (String failure : discovery.failures()) {
            line("  not loaded: " + failure);
        }
    }

    private void open(BackendProvider provider) {
        try {
            Backend backend = provider.open(Map.of());
            opened.add(backend);
            for (int device = 0; device < backend.deviceCount(); device++) {
                Capabilities can = backend.capabilities(device);
                columns.add(new Column(opened.size() - 1, backend.name() + ":" + device, can));
                line(String.format("  %-12s %8s  device %d: %s", "", "", device, can.description()));
            }
        } catch (RuntimeException | LinkageError error) {
            line(String.format("  %-12s %8s  could not be opened: %s", "", "", Services.sentence(error)));
        }
    }

    private void dtypes() {
        Map<String, List<String>> rows = new LinkedHashMap<>();
        for (DType dtype : DType.values()) {
            rows.put(dtype.name(), columns.stream().map(c -> c.can.dtypes().contains(dtype) ? "yes" : "refused").toList());
        }
        table("element types", rows);
    }

    private void operations() {
        Map<String, List<String>> rows = new LinkedHashMap<>();
        List<String> known = known();
        known.forEach(operation -> rows.put(operation, columns.stream().map(c -> cell(c, operation)).toList()));
        table("operations: native, composed of several native ones, or by loops on the host", rows);
    }

    private static List<String> known() {
        List<String> known = new ArrayList<>(List.of("full", "upload", "download", "share", "write", "iota", "randomUniform"));
        Arrays.stream(UnaryOp.values()).forEach(op -> known.add("unary " + op));
        Arrays.stream(BinaryOp.values()).forEach(op -> known.add("binary " + op));
        Arrays.stream(CompareOp.values()).forEach(op -> known.add("compare " + op));
        known.addAll(List.of("where", "cast"));
        Arrays.stream(ReduceOp.values()).forEach(op -> known.add("reduce " + op));
        known.add("argReduce");
        Arrays.stream(ReduceOp.values()).forEach(op -> known.add("scan " + op));
        known.addAll(List.of("reshape", "permute", "broadcastTo", "slice", "pad", "flip", "concat", "contiguous", "gather", "scatterAdd",
                "indexSelect", "indexAdd", "topK", "matmul"));
        return known;
    }

    private static String cell(Column column, String operation) {
        TreeSet<String> parts = new TreeSet<>();
        TreeSet<DType> left = new TreeSet<>(column.can.dtypes());
        for (Detour detour : column.can.detours()) {
            if (detour.operation().equals(operation)) {
                left.removeAll(detour.dtypes());
                boolean isWhole = detour.dtypes().containsAll(column.can.dtypes());
                parts.add(how(detour) + (isWhole ? "" : " " + names(detour)));
            }
        }
        return parts.isEmpty() ? "native" : String.join(", ", parts);
    }

    private static String how(Detour detour) {
        return detour.how().name().toLowerCase(Locale.ROOT);
    }

    private static String names(Detour detour) {
        return detour.dtypes().stream().sorted().map(Enum::name).collect(Collectors.joining(" "));
    }

    private void sections() {
        try {
            for (ExplainSection section : ServiceLoader.load(ExplainSection.class, Explanation.class.getClassLoader())) {
                Map<String, List<String>> rows = new LinkedHashMap<>();
                section.rows(opened).forEach((name, answers) -> rows.put(name, columns.stream().map(c -> answers.get(c.owner)).toList()));
                table(section.title(), rows);
            }
        } catch (RuntimeException | LinkageError | ServiceConfigurationError error) {
            line("");
            line("a part of this table failed: " + Services.sentence(error));
        }
    }

    /** Rows with equal answers are joined, so that what is special stands out. */
    private void table(String title, Map<String, List<String>> rows) {
        Map<String, List<String>> joined = new LinkedHashMap<>();
        Map<List<String>, List<String>> names = new LinkedHashMap<>();
        rows.forEach((name, answers) -> names.computeIfAbsent(key(name, answers), _ -> new ArrayList<>()).add(name));
        names.forEach((key, all) -> joined.put(label(all), key.subList(1, key.size())));
        int[] widths = new int[columns.size()];
        for (int i = 0; i < widths.length; i++) {
            int column = i;
            widths[i] = Math.max(columns.get(i).name.length(), joined.values().stream().mapToInt(a -> a.get(column).length()).max()
                    .orElse(0));
        }
        line("");
        line(title);
        row("", columns.stream().map(Column::name).toList(), widths);
        joined.forEach((name, answers) -> row(name, answers, widths));
    }

    /** Rows of one method are joined with each other only. */
    private static List<String> key(String name, List<String> answers) {
        List<String> key = new ArrayList<>();
        key.add(name.contains(" ") ? name.substring(0, name.indexOf(' ')) : "");
        key.addAll(answers);
        return key;
    }

    /** Names in one line: "unary EXP LOG". */
    private static String label(List<String> names) {
        StringBuilder label = new StringBuilder(names.getFirst());
        names.stream().skip(1).forEach(name -> label.append(' ').append(name.substring(name.indexOf(' ') + 1)));
        return label.toString();
    }

    private void row(String name, List<String> answers, int[] widths) {
        int cut = name.length() > NAMES_WIDTH ? name.lastIndexOf(' ', NAMES_WIDTH) : name.length();
        StringBuilder row = new StringBuilder(String.format("  %-" + NAMES_WIDTH + "s", name.substring(0, cut)));
        for (int i = 0; i < widths.length; i++) {
            row.append(String.format("  %-" + widths[i] + "s", answers.get(i)));
        }
        line(row.toString().stripTrailing());
        if (cut < name.length()) {
            row("  " + name.substring(cut + 1), answers.stream().map(_ -> "").toList(), widths);
        }
    }

    private void detours() {
        for (Column column : columns) {
            if (!column.can.detours().isEmpty()) {
                line("");
                line("why " + column.name + " goes another way");
                for (Detour detour : column.can.detours()) {
                    boolean isWhole = detour.dtypes().containsAll(column.can.dtypes());
                    line("  " + detour.operation() + (isWhole ? "" : " of " + names(detour)) + ", " + how(detour) + ": " + detour.reason());
                }
            }
        }
    }

    private void line(String content) {
        text.append(content).append(System.lineSeparator());
    }
}
