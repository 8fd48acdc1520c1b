package dev.sequent.examples;

import dev.sequent.io.Json;
import dev.sequent.io.JsonView;
import dev.sequent.type.DataException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * What a run's metrics file says: losses by step, and the time that training took. Read from the file, so a resumed run shows its whole
 * history.
 *
 * @param steps training losses, one per step
 * @param validations validation losses
 * @param tokens training tokens of all steps
 * @param seconds wall time of all steps, validation not included
 */
record Curve(List<Point> steps, List<Point> validations, long tokens, double seconds) {
    /** A loss in nats per token after a step. */
    record Point(long step, double loss) {}

    /** Reads {@code metrics.jsonl}. */
    static Curve read(Path file) {
        List<Point> steps = new ArrayList<>();
        List<Point> validations = new ArrayList<>();
        long tokens = 0;
        double seconds = 0;
        for (String line : lines(file)) {
            JsonView v = view(line, file);
            Point point = new Point(v.at("step").asLong(), v.at("loss").asDouble());
            if (v.at("kind").asString().equals("train")) {
                steps.add(point);
                tokens += v.at("tokens").asLong();
                seconds += v.at("seconds").asDouble();
            } else {
                validations.add(point);
            }
        }
        return new Curve(List.copyOf(steps), List.copyOf(validations), tokens, seconds);
    }

    /** Training losses as means of about {@code points} stretches, which are easier to look at. */
    List<Point> smoothed(int points) {
        int stretch = Math.max(1, steps.size() / points);
        List<Point> means = new ArrayList<>();
        for (int from = 0; from + stretch <= steps.size(); from += stretch) {
            List<Point> part = steps.subList(from, from + stretch);
            means.add(new Point(part.getLast().step(), part.stream().mapToDouble(Point::loss).average().orElseThrow()));
        }
        return means;
    }

    private static JsonView view(String line, Path file) {
        String source = String.valueOf(file.getFileName());
        return JsonView.of(Json.parse(line, source, DataException::new), source, DataException::new);
    }

    private static List<String> lines(Path file) {
        try {
            return Files.exists(file) ? Files.readAllLines(file) : List.of();
        } catch (IOException e) {
            throw new DataException("[metrics] expected a readable file, given " + file + ": " + e, e);
        }
    }
}
