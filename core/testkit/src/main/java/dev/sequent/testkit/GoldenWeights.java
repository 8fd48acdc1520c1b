package dev.sequent.testkit;

import dev.sequent.io.Json;
import dev.sequent.io.SafetensorsFile;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Weights by a rule instead of a file: element i of the tensor called NAME is the F32 number nearest to a + b v, v in [-1, 1) being made of
 * the upper 24 bits of SplitMix64's mixing function of FNV-1a(NAME) + (i + 1) 0x9E3779B97F4A7C15, and a and b depending on name and shape.
 * The same rule in Python is in {@code core/testkit/goldens/make_variants.py}.
 */
final class GoldenWeights {
    private static final long STEP = 0x9E3779B97F4A7C15L;

    private GoldenWeights() {}

    /** a and b. */
    private record Scale(double a, double b) {
        static Scale of(String name, long[] shape) {
            String last = name.substring(name.lastIndexOf('.') + 1);
            if (last.equals("A_log")) {
                return new Scale(0.5, 1);
            }
            if (last.equals("D")) {
                return new Scale(1, 0.5);
            }
            if (last.equals("dt_bias") || name.endsWith("dt_proj.bias")) {
                return new Scale(-1, 1.5);
            }
            if (last.equals("bias")) {
                return new Scale(0, 0.25);
            }
            if (shape.length == 1) {
                return new Scale(1, 0.5);
            }
            if (name.contains("embed") || name.contains("wte") || name.contains("wpe")) {
                return new Scale(0, 1);
            }
            return new Scale(0, Math.sqrt(3.0 / (Shape.of(shape).size() / shape[0])));
        }
    }

    /** The values of one tensor, row-major. */
    static float[] values(String name, long... shape) {
        long hash = 0xCBF29CE484222325L;
        for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
            hash = (hash ^ b & 0xFF) * 0x100000001B3L;
        }
        Scale scale = Scale.of(name, shape);
        float[] values = new float[Math.toIntExact(Shape.of(shape).size())];
        for (int i = 0; i < values.length; i++) {
            long z = hash + (i + 1) * STEP;
            z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
            z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
            z ^= z >>> 31;
            double v = 2 * ((z >>> 40) / 0x1p24) - 1;
            values[i] = (float) (scale.a() + scale.b() * v);
        }
        return values;
    }

    /** Writes a checkpoint of the tensors whose names and shapes {@code json} lists. */
    static void write(Path file, String json) {
        if (!(Json.parse(json, "golden", CheckpointException::new).toJava() instanceof Map<?, ?> shapes)) {
            throw new CheckpointException("golden", "an object of names and shapes", json);
        }
        List<SafetensorsFile.Source> sources = new ArrayList<>();
        shapes.forEach((name, sizes) -> {
            long[] shape = ((List<?>) sizes).stream().mapToLong(n -> ((Number) n).longValue()).toArray();
            sources.add(SafetensorsFile.Source.of((String) name, DType.F32, Shape.of(shape),
                    MemorySegment.ofArray(values((String) name, shape))));
        });
        SafetensorsFile.write(file, Map.of("format", "pt"), sources);
    }
}
