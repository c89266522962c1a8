"""Make nbval run a chapter as tools/execute.py does when it stores the outputs."""

from nbval import kernel

from tools.execute import kernel_env, sockets


class SameManager(kernel.KernelManager):
    def __init__(self, **options):
        super().__init__(**options, **sockets())

    def start_kernel(self, **options):
        super().start_kernel(**options, env=kernel_env())


def execute_with_history(self, source, allow_stdin=None):
    """Without history IPython would show the value of a line that ends in `;`
    (https://github.com/computationalmodelling/nbval/issues/194)."""
    return self.kc.execute(
        source, store_history=True, allow_stdin=allow_stdin, stop_on_error=False
    )


kernel.KernelManager = SameManager
kernel.RunningKernel.execute_cell_input = execute_with_history
