"""`returns`: a form of a type, such as `list[Order]`, and the type of the result that it stands for."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import TypeForm as TypeForm  # part of every type checker
    from typing_extensions import TypeVar

    Result = TypeVar("Result", default=Any)
else:  # for tools that read the hints of a running program
    from typing import TypeVar

    Result = TypeVar("Result")

    class TypeForm:
        """Any form of a type: not each is a class."""

        def __class_getitem__(cls, _result: object) -> Any:
            return Any
