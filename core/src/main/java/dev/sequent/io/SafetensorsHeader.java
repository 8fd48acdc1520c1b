package dev.sequent.io;

import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import dev.sequent.type.SequentException;
import dev.sequent.type.Shape;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The JSON header of a safetensors file, read strictly and written as the reference implementation does
 * (huggingface/safetensors, {@code tensor.rs}).
 *
 * @param metadata free text
 * @param places   tensors by ascending offset, which together cover the data without gap or overlap
 */
record SafetensorsHeader(Map<String, String> metadata, List<Place> places) {
    /** Largest header that is read: the reference's limit. */
    static final long MAX_BYTES = 100_000_000;
    static final String METADATA = "__metadata__";
    private static final int MAX_RANK = 32;
    /** The reference sorts by descending alignment, then by this order, then by name. */
    private static final List<DType> ORDER = List.of(DType.I64, DType.F64, DType.F32, DType.I32, DType.BF16, DType.F16, DType.BOOL);

    /** A tensor and its first byte after the header. */
    record Place(StoredTensor tensor, long begin) {
        long end() {
            return begin + tensor.bytes();
        }
    }

    /**
     * Reads a header.
     *
     * @param header    the header's bytes
     * @param dataBytes how many bytes follow the header in the file
     * @param source    the file's name, for messages
     */
    static SafetensorsHeader read(ByteBuffer header, long dataBytes, String source) {
        JsonParser parser = new JsonParser(header, Json.Dialect.STRICT, source, CheckpointException::new);
        if (header.get(header.position()) != '{') {
            throw parser.unexpected("a header that starts with '{'");
        }
        Map<String, String> metadata = Map.of();
        List<Place> places = new ArrayList<>();
        Set<String> names = new HashSet<>();
        parser.beginObject();
        for (String name = parser.nextName(); name != null; name = parser.nextName()) {
            if (!names.add(name)) {
                throw parser.duplicate(name);
            }
            if (name.equals(METADATA)) {
                metadata = readMetadata(parser);
            } else if (name.isEmpty()) {
                throw parser.failure("tensors with names", "an empty name");
            } else {
                places.add(readPlace(parser, name));
            }
        }
        parser.end();
        places.sort(Comparator.comparingLong(Place::begin).thenComparingLong(Place::end));
        checkCover(places, dataBytes, source);
        return new SafetensorsHeader(metadata, List.copyOf(places));
    }

    /** Lays out {@code tensors} in the order in which the reference writes them. */
    static SafetensorsHeader layOut(Map<String, String> metadata, List<StoredTensor> tensors) {
        Comparator<StoredTensor> order = Comparator.<StoredTensor>comparingInt(t -> ORDER.indexOf(t.dtype()))
                .thenComparing(StoredTensor::name);
        Set<String> names = new HashSet<>(Set.of(METADATA));
        List<Place> places = new ArrayList<>();
        long at = 0;
        for (StoredTensor tensor : tensors.stream().sorted(order).toList()) {
            if (tensor.name().isEmpty() || !names.add(tensor.name())) {
                throw new CheckpointException("safetensors", "distinct names, not empty and not " + METADATA,
                        JsonWriter.brief(tensor.name()));
            }
            places.add(new Place(tensor, at));
            if (tensor.bytes() > Long.MAX_VALUE - at) {
                throw new CheckpointException("safetensors", "fewer than 2^63 bytes in all", JsonWriter.brief(tensor.name()) + " beyond");
            }
            at += tensor.bytes();
        }
        return new SafetensorsHeader(metadata, places);
    }

    /** The header's JSON, without padding. */
    String write() {
        Json.Obj free = new Json.Obj(strings(metadata));
        Map<String, Json> members = new LinkedHashMap<>();
        if (!metadata.isEmpty()) {
            members.put(METADATA, free);
        }
        for (Place place : places) {
            StoredTensor tensor = place.tensor();
            Map<String, Json> member = new LinkedHashMap<>();
            member.put("dtype", Json.of(tensor.dtype().name()));
            member.put("shape", Json.array(tensor.shape().toArray()));
            member.put("data_offsets", Json.array(place.begin(), place.end()));
            members.put(tensor.name(), new Json.Obj(member));
        }
        return new Json.Obj(members).write();
    }

    /** Bytes of a tensor of this type and shape, or an error where they do not fit 63 bits. */
    static long bytes(DType dtype, Shape shape) {
        try {
            return Math.multiplyExact(shape.size(), dtype.bytes());
        } catch (ArithmeticException overflow) {
            throw new CheckpointException("safetensors", "fewer than 2^63 bytes", dtype + " " + shape);
        }
    }

    private static Map<String, Json> strings(Map<String, String> metadata) {
        Map<String, Json> members = new LinkedHashMap<>();
        metadata.forEach((key, value) -> members.put(key, Json.of(value)));
        return members;
    }

    private static Map<String, String> readMetadata(JsonParser parser) {
        Map<String, String> metadata = new LinkedHashMap<>();
        parser.beginObject();
        for (String key = parser.nextName(); key != null; key = parser.nextName()) {
            if (metadata.containsKey(key)) {
                throw parser.duplicate(key);
            }
            metadata.put(key, parser.string());
        }
        return Collections.unmodifiableMap(metadata);
    }

    private static Place readPlace(JsonParser parser, String name) {
        DType dtype = null;
        Shape shape = null;
        long[] offsets = null;
        parser.beginObject();
        for (String member = parser.nextName(); member != null; member = parser.nextName()) {
            boolean repeated = switch (member) {
                case "dtype" -> dtype != null;
                case "shape" -> shape != null;
                case "data_offsets" -> offsets != null;
                default -> throw parser.failure("dtype, shape and data_offsets of " + JsonWriter.brief(name), JsonWriter.brief(member));
            };
            if (repeated) {
                throw parser.duplicate(member);
            }
            switch (member) {
                case "dtype" -> dtype = readDType(parser, name);
                case "shape" -> shape = readShape(parser, name);
                default -> offsets = readCounts(parser, 2, "two offsets of " + JsonWriter.brief(name));
            }
        }
        if (dtype == null || shape == null || offsets == null || offsets.length != 2) {
            throw parser.failure("dtype, shape and two data_offsets of " + JsonWriter.brief(name), "fewer");
        }
        if (shape.size() > Long.MAX_VALUE / dtype.bytes()) {
            throw parser.failure("fewer than 2^63 bytes of " + JsonWriter.brief(name), dtype + " " + shape);
        }
        StoredTensor tensor = new StoredTensor(name, dtype, shape, bytes(dtype, shape));
        if (offsets[1] < offsets[0] || offsets[1] - offsets[0] != tensor.bytes()) {
            throw parser.failure(tensor.bytes() + " bytes for " + JsonWriter.brief(name) + " of type " + dtype + " and shape " + shape,
                    "offsets " + offsets[0] + " to " + offsets[1]);
        }
        return new Place(tensor, offsets[0]);
    }

    private static DType readDType(JsonParser parser, String name) {
        String given = parser.string();
        for (DType dtype : DType.values()) {
            if (dtype.name().equals(given)) {
                return dtype;
            }
        }
        throw parser.failure("one of the types " + Arrays.toString(DType.values()) + " for " + JsonWriter.brief(name),
                JsonWriter.brief(given));
    }

    private static Shape readShape(JsonParser parser, String name) {
        long[] dims = readCounts(parser, MAX_RANK, "at most " + MAX_RANK + " axes of " + JsonWriter.brief(name));
        try {
            return Shape.of(dims);
        } catch (SequentException overflow) {
            throw parser.failure("fewer than 2^63 elements of " + JsonWriter.brief(name), Arrays.toString(dims));
        }
    }

    private static long[] readCounts(JsonParser parser, int most, String what) {
        long[] counts = new long[most];
        int n = 0;
        parser.beginArray();
        while (parser.nextElement()) {
            if (n == most) {
                throw parser.failure(what, "more");
            }
            counts[n++] = parser.count();
        }
        return Arrays.copyOf(counts, n);
    }

    private static void checkCover(List<Place> places, long dataBytes, String source) {
        long at = 0;
        for (Place place : places) {
            if (place.begin() != at) {
                throw new CheckpointException(source, "data of " + JsonWriter.brief(place.tensor().name()) + " at byte " + at
                        + (place.begin() < at ? " (ranges must not overlap)" : " (no hole between ranges)"), "byte " + place.begin());
            }
            at = place.end();
            if (at > dataBytes) {
                String last = JsonWriter.brief(place.tensor().name());
                throw new CheckpointException(source, "at least " + at + " bytes of data, up to the end of " + last,
                        dataBytes + ": the file is truncated");
            }
        }
        if (at != dataBytes) {
            throw new CheckpointException(source, at + " bytes of data, as its tensors need", dataBytes + ": bytes after the last tensor");
        }
    }
}
