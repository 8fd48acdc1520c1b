package dev.sequent.io;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Moves tensors between files and devices, one tensor at a time and large ones in pieces, so that besides the tensors
 * themselves at most one piece of {@value #PIECE} bytes is in memory.
 *
 * <pre>{@code
 * try (WeightStore store = WeightStore.open(directory); Scope scope = Scope.open()) {
 *     Map<String, Tensor> weights = TensorFiles.load(store, device, DType.F32);
 *     ...
 * }
 * TensorFiles.save(directory.resolve("model.safetensors"), Map.of("format", "pt"), weights);
 * }</pre>
 */
public final class TensorFiles {
    private static final int PIECE = 1 << 26;

    private TensorFiles() {
    }

    /** All tensors of {@code store} on {@code device} with the element types of the file, in file order. They join the innermost scope. */
    public static Map<String, Tensor> load(WeightStore store, Device device) {
        return load(store, device, null);
    }

    /**
     * All tensors of {@code store} on {@code device}, in file order. They join the innermost scope.
     *
     * @param floats what floating-point tensors become; null leaves them as they are. Other tensors keep their type
     * @throws CheckpointException when the data is not valid for its type
     * @throws DTypeException      when the device does not support a type
     */
    public static Map<String, Tensor> load(WeightStore store, Device device, DType floats) {
        if (floats != null && !floats.isFloat()) {
            throw new DTypeException("load", "a floating-point type", floats.toString());
        }
        Map<String, Tensor> all = new LinkedHashMap<>();
        try (Scope scope = Scope.open()) {
            for (StoredTensor stored : store.tensors()) {
                DType to = floats != null && stored.dtype().isFloat() ? floats : stored.dtype();
                all.put(stored.name(), load(store, stored.name(), device, to));
            }
            all.values().forEach(scope::keep);
        }
        return all;
    }

    /**
     * One tensor on {@code device}, as {@code dtype}. It joins the innermost scope.
     *
     * @throws CheckpointException when there is no such tensor, or its data is not valid for its type
     * @throws DTypeException      when the device does not support the type in the file or {@code dtype}
     */
    public static Tensor load(WeightStore store, String name, Device device, DType dtype) {
        return load(store, name, device, dtype, PIECE);
    }

    static Tensor load(WeightStore store, String name, Device device, DType dtype, int piece) {
        StoredTensor stored = store.tensor(name);
        for (DType needed : List.of(stored.dtype(), dtype)) {
            if (!device.supports(needed)) {
                throw new DTypeException("load", "a type of " + device + ", which supports " + device.capabilities().dtypes(),
                        needed + " for " + name);
            }
        }
        MemorySegment data = store.data(name);
        if (stored.dtype() == DType.BOOL) {
            requireBooleans(name, data);
        }
        if (stored.bytes() <= piece) {
            return Scope.returning(() -> convert(upload(device, data, stored.shape(), stored.dtype()), dtype));
        }
        return Scope.returning(() -> loadPieces(device, stored, data, dtype, piece));
    }

    /**
     * Writes tensors to a safetensors file, which is replaced as a whole.
     *
     * @param metadata free text; other tools expect {@code format} to be {@code pt}
     * @throws CheckpointException when the file cannot be written
     */
    public static void save(Path file, Map<String, String> metadata, Map<String, Tensor> tensors) {
        List<SafetensorsFile.Source> sources = tensors.entrySet().stream().map(e -> source(e.getKey(), e.getValue())).toList();
        SafetensorsFile.write(file, metadata, sources);
    }

    /** A tensor as something to be written; its data is read from the device when its turn comes. */
    public static SafetensorsFile.Source source(String name, Tensor tensor) {
        return source(name, tensor, PIECE);
    }

    static SafetensorsFile.Source source(String name, Tensor tensor, int piece) {
        return source(name, tensor.dtype(), tensor.shape(), () -> tensor, piece);
    }

    /**
     * A tensor that is computed when its turn to be written comes, and released afterwards.
     *
     * @param tensor makes a contiguous tensor of this type and shape
     */
    public static SafetensorsFile.Source source(String name, DType dtype, Shape shape, Supplier<Tensor> tensor) {
        return source(name, dtype, shape, tensor, PIECE);
    }

    private static SafetensorsFile.Source source(String name, DType dtype, Shape shape, Supplier<Tensor> tensor, int piece) {
        StoredTensor stored = new StoredTensor(name, dtype, shape, SafetensorsHeader.bytes(dtype, shape));
        return new SafetensorsFile.Source() {
            @Override
            public StoredTensor tensor() {
                return stored;
            }

            @Override
            public void transferTo(Consumer<MemorySegment> sink) {
                try (Scope _ = Scope.open()) {
                    transfer(tensor.get(), piece, sink);
                }
            }
        };
    }

    private static void transfer(Tensor tensor, int piece, Consumer<MemorySegment> sink) {
        int width = tensor.dtype().bytes();
        if (tensor.size() * width <= piece) {
            sink.accept(download(tensor));
            return;
        }
        long step = piece / width;
        Tensor flat = tensor.reshape(tensor.size());
        for (long from = 0; from < flat.size(); from += step) {
            try (Scope _ = Scope.open()) {
                sink.accept(download(flat.slice(0, from, Math.min(from + step, flat.size()))));
            }
        }
    }

    private static Tensor loadPieces(Device device, StoredTensor stored, MemorySegment data, DType dtype, int piece) {
        Tensor flat = Tensor.zeros(device, dtype, stored.shape().size());
        int width = stored.dtype().bytes();
        long step = piece / width;
        for (long from = 0; from < flat.size(); from += step) {
            long n = Math.min(step, flat.size() - from);
            try (Scope _ = Scope.open()) {
                flat.write(convert(upload(device, data.asSlice(from * width, n * width), Shape.of(n), stored.dtype()), dtype), from);
            }
        }
        return flat.reshape(stored.shape());
    }

    private static Tensor convert(Tensor tensor, DType dtype) {
        return tensor.dtype() == dtype ? tensor : tensor.cast(dtype);
    }

    private static Tensor upload(Device device, MemorySegment data, Shape shape, DType dtype) {
        ByteBuffer bytes = data.asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
        return Tensor.wrap(device, device.backend().upload(bytes, shape, dtype, device.index()));
    }

    private static MemorySegment download(Tensor tensor) {
        ByteBuffer bytes = ByteBuffer.allocate((int) tensor.size() * tensor.dtype().bytes()).order(ByteOrder.LITTLE_ENDIAN);
        tensor.device().backend().download(tensor.handle(), bytes);
        return MemorySegment.ofArray(bytes.array());
    }

    private static void requireBooleans(String name, MemorySegment data) {
        for (long i = 0; i < data.byteSize(); i++) {
            byte b = data.get(ValueLayout.JAVA_BYTE, i);
            if (b != 0 && b != 1) {
                throw new CheckpointException("load", "bytes 0 and 1 in the BOOL tensor " + JsonWriter.brief(name),
                        (b & 0xFF) + " at " + i);
            }
        }
    }
}
