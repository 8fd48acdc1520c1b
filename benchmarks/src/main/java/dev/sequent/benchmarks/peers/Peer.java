package dev.sequent.benchmarks.peers;

import dev.sequent.io.Json;
import dev.sequent.io.JsonView;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * The other process. It is asked and answers in lines of JSON; between two questions it computes nothing.
 *
 * <pre>{@code
 * it:  {"name": "PyTorch 2.13.0", "cases": ["kernel/attention"], "missing": {"mamba2.py": "No module named 'transformers'"}}
 *      or {"absent": "No module named 'torch'"}
 * we:  {"load": "kernel/attention", "params": {"time": 1024, "pass": "forward", "threads": 2}}
 * it:  {"ready": true}  or  {"unsupported": "reason"}
 * we:  {"run": 10}
 * it:  {"seconds": [0.01, ...], "values": [4.2, ...]}  or  {"error": "reason"}
 * we:  {"quit": true}
 * }</pre>
 *
 * <p>Used by one thread.
 */
final class Peer implements AutoCloseable {
    private static final String NEEDED = "a Python with torch (pip install torch transformers; the option --python says which Python)";
    private static final int TAIL_LINES = 12;
    private static final String END = new String("end of the output");

    private final String command;
    private final Process process;
    private final BufferedWriter questions;
    private final BlockingQueue<String> answers = new LinkedBlockingQueue<>();
    private final Deque<String> errors = new ArrayDeque<>();
    private final Thread errorReader;
    private final Duration patience;
    private final String name;
    private final List<String> cases;
    private final Map<String, String> missing = new LinkedHashMap<>();

    private Peer(String command, Process process, Duration patience) {
        this.command = command;
        this.process = process;
        this.patience = patience;
        this.questions = new BufferedWriter(new OutputStreamWriter(process.getOutputStream(), StandardCharsets.UTF_8));
        read(process.getInputStream(), answers::add, () -> answers.add(END));
        this.errorReader = read(process.getErrorStream(), this::remember, () -> {});
        JsonView hello = answer();
        hello.find("absent").ifPresent(reason -> {
            throw new PeerException(NEEDED, command + ": " + reason.asString(), true, null);
        });
        this.name = hello.at("name").asString();
        this.cases = hello.at("cases").elements().stream().map(JsonView::asString).toList();
        hello.find("missing").ifPresent(m -> m.members().forEach((file, reason) -> missing.put(file, reason.asString())));
    }

    /**
     * Starts {@code command} and waits until it has introduced itself.
     *
     * @param patience how long an answer may take
     * @throws PeerException when there is no such program or it does not answer as expected
     */
    static Peer start(List<String> command, Duration patience) {
        Process process;
        try {
            process = new ProcessBuilder(command).start();
        } catch (IOException e) {
            throw new PeerException(NEEDED, e.getMessage(), true, e);
        }
        try {
            return new Peer(String.join(" ", command), process, patience);
        } catch (RuntimeException e) {
            process.destroyForcibly();
            throw e;
        }
    }

    private static Thread read(InputStream stream, Consumer<String> line, Runnable end) {
        return Thread.ofPlatform().daemon().name("peer").start(() -> {
            try (BufferedReader reader = new BufferedReader(new InputStreamReader(stream, StandardCharsets.UTF_8))) {
                reader.lines().forEach(line);
            } catch (IOException | UncheckedIOException e) {
                line.accept(e.toString());
            } finally {
                end.run();
            }
        });
    }

    private void remember(String line) {
        synchronized (errors) {
            errors.add(line);
            if (errors.size() > TAIL_LINES) {
                errors.remove();
            }
        }
    }

    /** Whose results these are, for example {@code PyTorch 2.13.0}. */
    String name() {
        return name;
    }

    /** Names of what it can run. */
    List<String> cases() {
        return cases;
    }

    /** Files whose cases it cannot run, and why. */
    Map<String, String> missing() {
        return missing;
    }

    /** Prepares a case with the parameters in both maps; the reason when it cannot be run. */
    Optional<String> load(String name, Map<String, Object> parameters, Map<String, Object> more) {
        Map<String, Object> all = new LinkedHashMap<>(parameters);
        all.putAll(more);
        JsonView answer = ask(Map.of("load", name, "params", all));
        Optional<String> reason = answer.find("unsupported").map(JsonView::asString);
        if (reason.isEmpty() && answer.find("ready").isEmpty()) {
            throw unexpected("'ready' or 'unsupported'", answer.value().toString(), null);
        }
        return reason;
    }

    /** Runs the loaded case {@code calls} times; the seconds of each. */
    double[] run(int calls) {
        return seconds(ran(calls), calls);
    }

    /** Runs the loaded case {@code calls} times; the number that each returned, NaN where there was none. */
    double[] values(int calls) {
        JsonView answer = ran(calls);
        seconds(answer, calls);
        double[] values = new double[calls];
        Arrays.fill(values, Double.NaN);
        List<JsonView> given = answer.find("values").map(JsonView::elements).orElse(List.of());
        for (int i = 0; i < Math.min(calls, given.size()); i++) {
            values[i] = given.get(i).value() == Json.NULL ? Double.NaN : given.get(i).asDouble();
        }
        return values;
    }

    private JsonView ran(int calls) {
        JsonView answer = ask(Map.of("run", calls));
        if (answer.find("error").isPresent()) {
            throw unexpected("a run that ends well", answer.at("error").asString(), null);
        }
        return answer;
    }

    private double[] seconds(JsonView answer, int calls) {
        double[] seconds = answer.at("seconds").elements().stream().mapToDouble(JsonView::asDouble).toArray();
        if (seconds.length != calls) {
            throw unexpected("the seconds of " + calls + " calls", seconds.length + "", null);
        }
        return seconds;
    }

    /** Processor time used so far, where the system tells. */
    Optional<Duration> processorTime() {
        return process.info().totalCpuDuration();
    }

    private JsonView ask(Map<String, Object> question) {
        try {
            questions.write(Json.ofJava(question).toString());
            questions.newLine();
            questions.flush();
        } catch (IOException e) {
            throw unexpected("a process that listens", "one that has ended", e);
        }
        return answer();
    }

    private JsonView answer() {
        String line;
        try {
            line = answers.poll(patience.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw unexpected("an answer", "an interrupt", e);
        }
        if (line == null) {
            throw unexpected("an answer within " + patience.toSeconds() + " s", "none", null);
        }
        if (line == END) {
            throw unexpected("an answer", "the end of its output", null);
        }
        return JsonView.of(Json.parse(line, "peer", m -> unexpected("a line of JSON", line, null)), "peer", m -> unexpected(m, line, null));
    }

    private PeerException unexpected(String expected, String given, Throwable cause) {
        try {
            errorReader.join(200); // a process that is ending has more to say
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        String tail;
        synchronized (errors) {
            tail = String.join("\n  ", errors);
        }
        return new PeerException(expected + " of " + command, given + (tail.isEmpty() ? "" : "; its standard error ends with\n  " + tail),
                false, cause);
    }

    /** Ends the process. */
    @Override
    public void close() {
        try {
            questions.write("{\"quit\": true}\n");
            questions.close();
            if (process.waitFor(5, TimeUnit.SECONDS)) {
                return;
            }
        } catch (IOException e) {
            // it has ended already
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        process.destroyForcibly();
    }
}
