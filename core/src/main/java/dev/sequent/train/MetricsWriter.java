package dev.sequent.train;

import dev.sequent.io.Json;
import dev.sequent.type.DataException;
import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * Writes every step and validation as a line of a file, JSON objects for {@code *.jsonl} and comma-separated values for {@code *.csv}. Appends to an
 * existing file, so that a resumed run continues its record; every line is flushed.
 */
public final class MetricsWriter implements TrainListener, AutoCloseable {
    private static final String HEADER = "kind,step,loss,learning_rate,gradient_norm,tokens,seconds\n";

    private final Path file;
    private final boolean csv;
    private final Writer out;

    /** Opens {@code file} for appending. */
    public MetricsWriter(Path file) {
        String name = String.valueOf(file.getFileName());
        this.csv = name.endsWith(".csv");
        if (!csv && !name.endsWith(".jsonl")) {
            throw new DataException("metrics", "a file name ending in .jsonl or .csv", name);
        }
        this.file = file;
        try {
            boolean fresh = Files.notExists(file) || Files.size(file) == 0;
            this.out = Files.newBufferedWriter(file, StandardCharsets.UTF_8, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            if (csv && fresh) {
                out.write(HEADER);
            }
        } catch (IOException e) {
            throw failure(e);
        }
    }

    @Override
    public void step(Step s) {
        if (csv) {
            line(String.format(Locale.ROOT, "train,%d,%.9g,%.9g,%.9g,%d,%.6f", s.step(), s.loss(), s.learningRate(), s.gradientNorm(), s.tokens(), s.seconds()));
        } else {
            Map<String, Object> m = new LinkedHashMap<>();
            m.put("kind", "train");
            m.put("step", s.step());
            m.put("loss", s.loss());
            m.put("learning_rate", s.learningRate());
            m.put("gradient_norm", s.gradientNorm());
            m.put("tokens", s.tokens());
            m.put("seconds", s.seconds());
            line(Json.ofJava(m).write());
        }
    }

    @Override
    public void validation(Validation v) {
        if (csv) {
            line(String.format(Locale.ROOT, "validation,%d,%.9g,,,%d,%.6f", v.step(), v.loss(), v.tokens(), v.seconds()));
        } else {
            Map<String, Object> m = new LinkedHashMap<>();
            m.put("kind", "validation");
            m.put("step", v.step());
            m.put("loss", v.loss());
            m.put("tokens", v.tokens());
            m.put("seconds", v.seconds());
            line(Json.ofJava(m).write());
        }
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
