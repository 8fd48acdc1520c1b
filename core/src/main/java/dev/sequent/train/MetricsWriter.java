package dev.sequent.train;

import dev.sequent.io.AtomicFiles;
import dev.sequent.io.Json;
import dev.sequent.io.JsonView;
import dev.sequent.type.DataException;
import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Writes every step and validation as a line of a file, JSON objects for {@code *.jsonl} and comma-separated values for {@code *.csv}.
 * Numbers are written such that they read back as the same values; every line is flushed. Used by one thread.
 */
public final class MetricsWriter implements TrainListener, AutoCloseable {
    private static final String HEADER = "kind,step,loss,learning_rate,gradient_norm,tokens,seconds";

    private final Path file;
    private final boolean csv;
    private final Writer out;

    /** Appends to {@code file}, which is created when missing. A last line that was cut off by a crash is removed. */
    public MetricsWriter(Path file) {
        this(file, Long.MAX_VALUE);
    }

    /**
     * Appends to {@code file} for a run that is resumed after {@code step} steps: lines about later steps, which that run is about to
     * repeat, are removed.
     *
     * @throws DataException when the file cannot be written, or holds something else than metrics
     */
    public MetricsWriter(Path file, long step) {
        String name = String.valueOf(file.getFileName());
        this.csv = name.endsWith(".csv");
        if (!csv && !name.endsWith(".jsonl")) {
            throw new DataException("metrics", "a file name ending in .jsonl or .csv", name);
        }
        this.file = file;
        try {
            String present = Files.exists(file) ? Files.readString(file) : "";
            String kept = upTo(step, present);
            if (!kept.equals(present)) {
                AtomicFiles.write(file, kept);
            }
            this.out = Files.newBufferedWriter(file, StandardCharsets.UTF_8, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw failure(e);
        }
        if (csv && isEmpty()) {
            line(HEADER);
        }
    }

    private boolean isEmpty() {
        try {
            return Files.size(file) == 0;
        } catch (IOException e) {
            throw failure(e);
        }
    }

    /** The complete lines about steps up to {@code step}. */
    private String upTo(long step, String text) {
        StringBuilder kept = new StringBuilder();
        int number = 0;
        for (int from = 0, end = text.indexOf('\n'); end >= 0; from = end + 1, end = text.indexOf('\n', from)) {
            String line = text.substring(from, end);
            number++;
            boolean header = csv && number == 1;
            if (header && !line.equals(HEADER)) {
                throw new DataException("metrics", "a file that begins with " + HEADER, file + ", which does not");
            }
            if (header || step == Long.MAX_VALUE || stepOf(line, number) <= step) {
                kept.append(line).append('\n');
            }
        }
        return kept.toString();
    }

    private long stepOf(String line, int number) {
        String where = file.getFileName() + " line " + number;
        if (!csv) {
            return JsonView.of(Json.parse(line, where, DataException::new), where, DataException::new).at("step").asLong();
        }
        String[] values = line.split(",", -1);
        if (values.length < 2 || !values[1].matches("\\d{1,18}")) {
            throw new DataException(where, "the values of " + HEADER, line);
        }
        return Long.parseLong(values[1]);
    }

    @Override
    public void step(Step s) {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("kind", "train");
        m.put("step", s.step());
        m.put("loss", s.loss());
        m.put("learning_rate", s.learningRate());
        m.put("gradient_norm", s.gradientNorm());
        m.put("tokens", s.tokens());
        m.put("seconds", s.seconds());
        write(m);
    }

    @Override
    public void validation(Validation v) {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("kind", "validation");
        m.put("step", v.step());
        m.put("loss", v.loss());
        m.put("tokens", v.tokens());
        m.put("seconds", v.seconds());
        write(m);
    }

    private void write(Map<String, Object> values) {
        if (!csv) {
            line(Json.ofJava(values).write());
            return;
        }
        StringBuilder row = new StringBuilder();
        for (String column : HEADER.split(",")) {
            Object value = values.get(column);
            row.append(row.isEmpty() ? "" : ",").append(value == null ? "" : value);
        }
        line(row.toString());
    }

    private void line(String text) {
        try {
            out.write(text);
            out.write('\n');
            out.flush();
        } catch (IOException e) {
            throw failure(e);
        }
    }

    private DataException failure(IOException e) {
        return new DataException("[metrics] expected to write " + file + ", given " + e, e);
    }

    @Override
    public void close() {
        try {
            out.close();
        } catch (IOException e) {
            throw failure(e);
        }
    }
}
