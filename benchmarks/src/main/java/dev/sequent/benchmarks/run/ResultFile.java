package dev.sequent.benchmarks.run;

import dev.sequent.io.AtomicFiles;
import dev.sequent.io.Json;
import dev.sequent.io.JsonView;
import dev.sequent.type.DataException;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.results.format.ResultFormatFactory;
import org.openjdk.jmh.results.format.ResultFormatType;

/** The results of a run in JMH's format. The file is replaced as a whole after every measurement. Not safe for use by several threads. */
final class ResultFile {
    private static final long MAX_BYTES = 1 << 28;

    private final Path file;
    private final List<Json> rows;

    private ResultFile(Path file, List<Json> rows) {
        this.file = file;
        this.rows = new ArrayList<>(rows);
    }

    /** A file without results, in place of one that is there already once the first result arrives. */
    static ResultFile empty(Path directory) {
        return new ResultFile(directory.resolve(RunBenchmarks.RESULTS), List.of());
    }

    /** The file of a run that was interrupted; empty where there is none. */
    static ResultFile continued(Path directory) {
        Path file = directory.resolve(RunBenchmarks.RESULTS);
        return Files.exists(file) ? new ResultFile(file, rows(Json.read(file, MAX_BYTES, Json.Dialect.PYTHON, DataException::new), file))
                : empty(directory);
    }

    private static List<Json> rows(Json results, Path file) {
        return JsonView.of(results, file.toString(), DataException::new).elements().stream().map(JsonView::value).toList();
    }

    boolean isEmpty() {
        return rows.isEmpty();
    }

    int size() {
        return rows.size();
    }

    /** Whether there is a result of a measurement. JMH stores every parameter, also those that a case leaves at its default. */
    boolean contains(Case c) {
        return rows.stream().map(r -> JsonView.of(r, file.toString(), DataException::new)).anyMatch(row -> {
            Map<String, String> parameters = new TreeMap<>();
            row.find("params").ifPresent(p -> p.members().forEach((name, value) -> parameters.put(name, value.asString())));
            return row.at("benchmark").asString().endsWith("." + c.benchmark())
                    && parameters.entrySet().containsAll(c.parameters().entrySet());
        });
    }

    void add(Collection<RunResult> results) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        ResultFormatFactory.getInstance(ResultFormatType.JSON, new PrintStream(bytes, true, StandardCharsets.UTF_8)).writeOut(results);
        rows.addAll(rows(Json.parse(bytes.toString(StandardCharsets.UTF_8), "JMH", DataException::new), file));
        AtomicFiles.write(file, new Json.Arr(rows).writePretty());
    }
}
